//! Which settings a topic of each kind can have.

use crate::words::error::{Error, Result};
use crate::words::topic_config::TopicConfig;
use crate::words::topic_kind::TopicKind;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::topic_kind::SlowReaders;
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
