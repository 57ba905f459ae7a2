//! The caller's code inside ours: it may panic when it runs, and its values may panic when they are
//! dropped.

use std::any::Any;
use std::mem::forget;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs the caller's code.
///
/// # Errors
/// The text of a panic.
pub(crate) fn catch<R>(run: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = text(panic.as_ref()).to_owned();
        discard(panic);
        text
    })
}

/// Drops what is the caller's. A panic of that ends here.
pub(crate) fn discard<T>(theirs: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(theirs))) {
        // What a panic of a destructor carries may have a destructor that panics, and so on.
        forget(panic);
    }
}

fn text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

/// Something of the caller's that is dropped where nobody expects a panic: by a worker that ends
/// last, say.
pub(crate) struct CallersValue<T>(Option<T>);

impl<T> CallersValue<T> {
    pub(crate) fn new(theirs: T) -> Self {
        CallersValue(Some(theirs))
    }
}

impl<T> Deref for CallersValue<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T> DerefMut for CallersValue<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("it is there until it is dropped")
    }
}

impl<T> Drop for CallersValue<T> {
    fn drop(&mut self) {
        discard(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::panic_any;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic_any(Bomb);
        }
    }

    #[test]
    fn nothing_of_a_panic_gets_out() {
        assert_eq!(catch(|| panic!("why")).unwrap_err(), "why");
        assert_eq!(catch(|| panic_any(Bomb)).unwrap_err(), "no text");
        discard(Bomb);
        drop(CallersValue::new(Bomb));
    }
}
