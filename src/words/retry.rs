//! When a failed message is tried again.

use crate::words::error::{Error, Result};
use crate::words::millis;
use crate::words::panics::{CallersValue, catch};
use crate::words::setting_value::{SettingValue, number};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

/// The wait after a backoff function that panics or asks for nonsense.
const AFTER_A_BROKEN_FUNCTION: Duration = Duration::from_secs(1);
/// No retry waits longer, whatever a backoff says: thirty days.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// How far jitter spreads a delay to either side. It breaks up herds of messages that failed
/// together, as when a service they all call was down.
const JITTER: f64 = 0.1;

/// A backoff of the caller's own.
type Function = dyn Fn(u32) -> Duration + Send + Sync;

/// How long to wait before the next attempt, given the number of the attempt that failed (from 1).
///
/// Fixed, linear and exponential delays are spread by ±10 % unless
/// [`without_jitter`](Backoff::without_jitter) is called. The default is exponential from 1 s,
/// doubling, capped at 15 minutes. No backoff waits longer than thirty days.
///
/// Two backoffs are equal if they are of the same kind with the same values; functions are never
/// equal.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    #[serde(flatten)]
    curve: Curve,
    jitter: bool,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Curve {
    Fixed {
        #[serde(rename = "delay_ms", with = "millis")]
        delay: Duration,
    },
    Linear {
        #[serde(rename = "step_ms", with = "millis")]
        step: Duration,
        #[serde(rename = "cap_ms", with = "millis")]
        cap: Duration,
    },
    Exponential {
        #[serde(rename = "first_ms", with = "millis")]
        first: Duration,
        factor: f64,
        #[serde(rename = "cap_ms", with = "millis")]
        cap: Duration,
    },
    #[serde(skip)]
    Function(Arc<CallersValue<Box<Function>>>),
}

impl PartialEq for Curve {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Curve::Fixed { delay: one }, Curve::Fixed { delay: two }) => one == two,
            (Curve::Linear { step, cap }, Curve::Linear { step: s, cap: c }) => {
                (step, cap) == (s, c)
            }
            (
                Curve::Exponential { first, factor, cap },
                Curve::Exponential {
                    first: f,
                    factor: by,
                    cap: c,
                },
            ) => (first, factor, cap) == (f, by, c),
            _ => false,
        }
    }
}

// A function that panics is caught where it is called, and called again as if nothing had been.
impl UnwindSafe for Backoff {}
impl RefUnwindSafe for Backoff {}

impl Backoff {
    /// Waits the same time after every failure.
    pub fn fixed(delay: Duration) -> Self {
        Backoff::with(Curve::Fixed { delay })
    }

    /// Waits `step`, 2 × `step`, 3 × `step` …, at most `cap`.
    pub fn linear(step: Duration, cap: Duration) -> Self {
        Backoff::with(Curve::Linear { step, cap })
    }

    /// Waits `first`, `first` × `factor`, `first` × `factor`² …, at most `cap`. A factor below 1,
    /// or not a number, counts as 1.
    pub fn exponential(first: Duration, factor: f64, cap: Duration) -> Self {
        let factor = if factor >= 1.0 { factor } else { 1.0 };
        Backoff::with(Curve::Exponential { first, factor, cap })
    }

    /// Calls a function of the failed attempt's number (from 1), without jitter. A function that
    /// panics means 1 s.
    pub fn function(delay: impl Fn(u32) -> Duration + Send + Sync + 'static) -> Self {
        Backoff::with(Curve::Function(Arc::new(CallersValue::new(Box::new(
            delay,
        )))))
        .without_jitter()
    }

    /// Uses the exact delays, without spreading them.
    pub fn without_jitter(mut self) -> Self {
        self.jitter = false;
        self
    }

    fn with(curve: Curve) -> Self {
        Backoff {
            curve,
            jitter: true,
        }
    }

    /// Returns why it cannot be written down, if it cannot.
    fn why_unstorable(&self) -> Option<&'static str> {
        match &self.curve {
            Curve::Function(_) => {
                Some("is a function, which cannot be stored: say it in the receiver")
            }
            // JSON has no such numbers: what is written for them is not read back.
            Curve::Exponential { factor, .. } if !factor.is_finite() => {
                Some("has an infinite factor, which cannot be stored: set a large one and the cap")
            }
            Curve::Fixed { delay } => why_unstorable(&[*delay]),
            Curve::Linear { step, cap } => why_unstorable(&[*step, *cap]),
            Curve::Exponential { first, cap, .. } => why_unstorable(&[*first, *cap]),
        }
    }

    /// Returns the wait after failed attempt `attempt`.
    pub(crate) fn delay(&self, attempt: u32) -> Duration {
        let delay = match &self.curve {
            Curve::Fixed { delay } => *delay,
            Curve::Linear { step, cap } => step.saturating_mul(attempt).min(*cap),
            Curve::Exponential { first, factor, cap } => {
                exponential(*first, *factor, *cap, attempt)
            }
            Curve::Function(function) => {
                catch(|| function(attempt)).unwrap_or(AFTER_A_BROKEN_FUNCTION)
            }
        };
        let delay = delay.min(LONGEST);
        if !self.jitter {
            return delay;
        }
        delay.mul_f64(1.0 - JITTER + 2.0 * JITTER * fastrand::f64())
    }
}

impl SettingValue for Backoff {
    const WRITTEN: &'static str =
        "exponential:1s,2,15m (first, factor, longest), fixed:5s, linear:1s,1m";
    type Allowed = ();

    fn read(text: &str) -> Result<Self, String> {
        let (curve, rest) = text.split_once(':').unwrap_or((text, ""));
        let parts = rest.split(',').map(str::trim);
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        match (curve, parts.as_slice()) {
            ("fixed", [delay]) => Ok(Backoff::fixed(Duration::read(delay)?)),
            ("linear", [step, cap]) => {
                Ok(Backoff::linear(Duration::read(step)?, Duration::read(cap)?))
            }
            ("exponential", [first, factor, cap]) => {
                let factor: f64 = number(factor)?;
                if !factor.is_finite() || factor < 1.0 {
                    return Err(format!("the factor {factor} must be at least 1"));
                }
                let (first, cap) = (Duration::read(first)?, Duration::read(cap)?);
                Ok(Backoff::exponential(first, factor, cap))
            }
            _ => Err(format!("write it as {}", Self::WRITTEN)),
        }
    }

    fn text(&self) -> String {
        match &self.curve {
            Curve::Fixed { delay } => format!("fixed:{}", delay.text()),
            Curve::Linear { step, cap } => format!("linear:{},{}", step.text(), cap.text()),
            Curve::Exponential { first, factor, cap } => {
                format!("exponential:{},{factor:?},{}", first.text(), cap.text())
            }
            Curve::Function(_) => "function".to_owned(),
        }
    }

    fn check(&self, topic: &str, name: &str, (): &()) -> Result<()> {
        match self.why_unstorable() {
            Some(why) => Err(Error::invalid(format!("the {name} of topic {topic} {why}"))),
            None => Ok(()),
        }
    }
}

/// Returns why these cannot be written down, if they cannot.
fn why_unstorable(delays: &[Duration]) -> Option<&'static str> {
    let is_storable = |delay: &Duration| *delay <= LONGEST && millis::is_whole(*delay);
    let why = "has a delay that cannot be stored: it must be whole milliseconds, 30 days at most";
    (!delays.iter().all(is_storable)).then_some(why)
}

fn exponential(first: Duration, factor: f64, cap: Duration, attempt: u32) -> Duration {
    let factor = if factor >= 1.0 { factor } else { 1.0 };
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let seconds = first.as_secs_f64() * factor.powi(exponent);
    // Overflow is infinite here, and the cap catches it.
    Duration::try_from_secs_f64(seconds).unwrap_or(cap).min(cap)
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff::exponential(Duration::from_secs(1), 2.0, Duration::from_secs(900))
    }
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.curve {
            Curve::Fixed { delay } => write!(f, "fixed {delay:?}"),
            Curve::Linear { step, cap } => write!(f, "linear {step:?} up to {cap:?}"),
            Curve::Exponential { first, factor, cap } => {
                write!(f, "exponential from {first:?} by {factor} up to {cap:?}")
            }
            Curve::Function(_) => f.write_str("function"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[track_caller]
    fn check(backoff: &Backoff, expected_seconds: &[u64]) {
        for (failed, expected) in (1..).zip(expected_seconds) {
            let plain = backoff.clone().without_jitter().delay(failed);
            assert_eq!(plain, S * *expected as u32, "attempt {failed}");
            let spread = backoff.delay(failed).as_secs_f64() / plain.as_secs_f64();
            assert!((0.9..=1.1).contains(&spread), "{spread}");
        }
    }

    #[test]
    fn delays_follow_their_curves() {
        check(&Backoff::fixed(S), &[1, 1, 1]);
        check(&Backoff::linear(2 * S, 5 * S), &[2, 4, 5, 5]);
        check(&Backoff::exponential(S, 1.0, 900 * S), &[1, 1, 1]);
        check(&Backoff::exponential(2 * S, 2.0, 900 * S), &[2, 4, 8]);
        check(&Backoff::exponential(S, 2.0, 5 * S), &[1, 2, 4, 5, 5]);
        check(&Backoff::exponential(S, f64::NAN, 5 * S), &[1, 1]);
        check(&Backoff::function(|n| S * (10 * n)), &[10, 20, 30]);
    }

    #[test]
    fn no_attempt_number_overflows() {
        let backoff = Backoff::exponential(S, 1e300, 900 * S).without_jitter();
        assert_eq!(backoff.delay(u32::MAX), 900 * S);
        let backoff = Backoff::linear(Duration::MAX, Duration::MAX).without_jitter();
        assert_eq!(backoff.delay(u32::MAX), LONGEST);
    }

    #[test]
    fn a_function_that_panics_means_one_second() {
        let backoff = Backoff::function(|_| panic!("no idea"));
        assert_eq!(backoff.delay(1), S);
    }
}
