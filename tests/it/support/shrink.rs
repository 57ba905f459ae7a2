//! Finds what a random failure needs.

/// Leaves out what it can from a sequence that fails, so that it still does: halves, quarters,
/// single steps. Tries at most so often.
pub(crate) fn shrink<T: Clone>(
    mut steps: Vec<T>,
    max_tries: usize,
    fails: impl Fn(&[T]) -> bool,
) -> Vec<T> {
    let mut tries = 0;
    let mut size = steps.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < steps.len() && tries < max_tries {
            tries += 1;
            let mut fewer = steps.clone();
            fewer.drain(from..(from + size).min(steps.len()));
            match fails(&fewer) {
                true => steps = fewer,
                false => from += size,
            }
        }
        size /= 2;
    }
    steps
}
