//! What a topic is: a queue, or a log that many readers follow.

use crate::words::error::{Error, Result};
use crate::words::setting_value::{SettingField, SettingValue, words};
use crate::words::topic_config::TopicConfig;
use serde::{Deserialize, Serialize};

/// What a topic is. It changes only while the topic holds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TopicKind {
    /// Each message is handled once, and is gone then. The default.
    #[default]
    Queue,
    /// Messages are kept for many readers. Each has its own place, and reads all of them in the one
    /// order that all readers see.
    Log,
}

/// What becomes of old messages of a log that a named reader has not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SlowReaders {
    /// They are held back until it has read them, however old or large the log is. The default.
    #[default]
    Hold,
    /// They go. The reader fails with [`PositionGone`](crate::ErrorKind::PositionGone), until
    /// somebody [moves](crate::Topic::seek) it.
    Lose,
}

/// What only a log can have set, beside its kind.
const OF_LOGS: [&str; 3] = ["keep_for", "keep_bytes", "slow_readers"];

/// Checks that all that is set makes sense for the topic's kind.
///
/// # Errors
/// `Invalid`, naming the setting.
pub(crate) fn check_kind(config: &TopicConfig, topic: &str) -> Result<()> {
    for setting in TopicConfig::settings() {
        let name = setting.name;
        if name == "kind" || config.get(name).is_none() {
            continue;
        }
        let flaw = match (config.kind, OF_LOGS.contains(&name)) {
            (TopicKind::Queue, true) => "is a setting of logs, and the topic is a queue",
            (TopicKind::Log, false) => "is a setting of queues, and the topic is a log",
            _ => continue,
        };
        return Err(Error::invalid(format!("{name} of topic {topic} {flaw}")));
    }
    Ok(())
}

words!(TopicKind, "queue, log", "queue" = Queue, "log" = Log);
words!(SlowReaders, "hold, lose", "hold" = Hold, "lose" = Lose);

/// Makes a setting of a word that is never missing: its default counts as not set.
macro_rules! defaulted {
    ($kind:ident) => {
        impl SettingField for $kind {
            type Value = $kind;

            fn set(&self) -> Option<&$kind> {
                (*self != $kind::default()).then_some(self)
            }

            fn of(value: Option<$kind>) -> Self {
                value.unwrap_or_default()
            }
        }

        impl $kind {
            /// Returns whether it is not stored.
            pub(crate) fn is_default(&self) -> bool {
                self.set().is_none()
            }
        }
    };
}

defaulted!(TopicKind);
defaulted!(SlowReaders);

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[track_caller]
    fn check(settings: &[(&str, &str)], flaw: Option<&str>) {
        let mut config = TopicConfig::default();
        for (name, value) in settings {
            config.set(name, value).unwrap();
        }
        let checked = check_kind(&config, "t").map_err(|error| error.to_string());
        match (checked, flaw) {
            (Ok(()), None) => {}
            (Err(text), Some(name)) => assert!(text.starts_with(name), "{text}"),
            (checked, _) => panic!("{settings:?}: {checked:?}"),
        }
    }

    #[test]
    fn a_setting_of_the_other_kind_is_refused_by_its_name() {
        check(&[("max_length", "5")], None);
        check(&[("keep_for", "5s")], Some("keep_for"));
        check(&[("slow_readers", "lose")], Some("slow_readers"));
        check(&[("kind", "log"), ("keep_for", "5s")], None);
        check(&[("kind", "log"), ("keep_bytes", "5")], None);
        check(&[("kind", "log"), ("max_length", "5")], Some("max_length"));
        check(&[("kind", "log"), ("delay", "5s")], Some("delay"));
    }

    #[test]
    fn defaults_are_not_stored() {
        let mut config = TopicConfig {
            kind: TopicKind::Log,
            keep_for: Some(Duration::from_secs(5)),
            slow_readers: SlowReaders::Lose,
            ..TopicConfig::default()
        };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(
            text,
            r#"{"kind":"log","keep_for_ms":5000,"slow_readers":"lose"}"#
        );
        assert_eq!(serde_json::from_str::<TopicConfig>(&text).unwrap(), config);

        config.unset("slow_readers").unwrap();
        config.set("kind", "queue").unwrap();

        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(text, r#"{"keep_for_ms":5000}"#);
        assert_eq!(config.get("kind"), None);
    }
}
