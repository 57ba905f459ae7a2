//! What breaks a rule of CloudEvents is neither sent nor read.

use super::through;
use crate::support::Place;
use outtray::envelope::CONTENT_TYPE;
use outtray::{CloudEvent, ContentMode, ErrorKind, EventData, ExtensionValue, NewMessage};
use serde_json::{Value, json};

/// Checks that this is refused, where it is written in both modes and where it is read.
#[track_caller]
fn check_refused(change: impl Fn(&mut CloudEvent), part: &str) {
    let mut event = CloudEvent::new("1", "/", "t");
    change(&mut event);
    let check = |error: outtray::Error| {
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    check(event.check().unwrap_err());
    check(event.to_json().unwrap_err());
    for mode in [ContentMode::Structured, ContentMode::Binary] {
        check(event.to_message("events", mode).unwrap_err());
    }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn an_event_that_breaks_a_rule_is_not_sent() {
    check_refused(|event| event.id.clear(), "\"id\"");
    check_refused(|event| event.id = "a\nb".to_owned(), "control");
    check_refused(|event| event.source.clear(), "\"source\"");
    check_refused(
        |event| event.source = "no reference".to_owned(),
        "URI reference",
    );
    check_refused(|event| event.event_type.clear(), "\"type\"");
    check_refused(
        |event| event.event_type = "\u{fffe}".to_owned(),
        "no character",
    );
    check_refused(|event| event.subject = text(""), "\"subject\"");
    check_refused(|event| event.time = text("yesterday"), "RFC 3339");
    check_refused(|event| event.dataschema = text("/relative"), "absolute URI");
    check_refused(|event| event.dataschema = text(""), "\"dataschema\"");
    check_refused(|event| event.datacontenttype = text("json"), "media type");
    for name in [
        "",
        "Upper",
        "with-dash",
        "with_underscore",
        "größe",
        "a b",
        "data",
        "id",
        "type",
    ] {
        check_refused(
            |event| {
                let value = ExtensionValue::Integer(1);
                event.extensions.insert(name.to_owned(), value);
            },
            "extension",
        );
    }
    check_refused(
        |event| {
            let value = ExtensionValue::Text("\u{7f}".to_owned());
            event.extensions.insert("ext".to_owned(), value);
        },
        "control",
    );
    check_refused(
        |event| event.data = Some(EventData::Text("plain".to_owned())),
        "datacontenttype",
    );
    check_refused(
        |event| {
            event.datacontenttype = text("application/xml");
            event.data = Some(EventData::json("<x/>").unwrap());
        },
        "datacontenttype",
    );
}

#[test]
fn an_event_in_json_that_breaks_a_rule_is_not_read() {
    let good = json!({"specversion": "1.0", "id": "1", "source": "/", "type": "t"});
    assert!(CloudEvent::from_json(&good.to_string()).is_ok());
    let refused = |name: &str, value: Value| {
        let mut event = good.clone();
        event[name] = value;
        let error = CloudEvent::from_json(&event.to_string()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{event}");
        error.to_string()
    };
    for required in ["specversion", "id", "source", "type"] {
        assert!(refused(required, Value::Null).contains("is missing"));
        refused(required, json!(""));
        assert!(refused(required, json!(1)).contains("no text"));
        let mut event = good.clone();
        event.as_object_mut().unwrap().remove(required);
        let error = CloudEvent::from_json(&event.to_string()).unwrap_err();
        assert!(error.to_string().contains(required), "{error}");
    }
    refused("specversion", json!("0.3"));
    refused("specversion", json!("1.1"));
    refused("subject", json!(""));
    refused("subject", json!(false));
    refused("time", json!("2018-02-30T00:00:00Z"));
    refused("dataschema", json!("relative"));
    refused("datacontenttype", json!("json"));
    refused("source", json!("a b"));
    refused("Extension", json!("x"));
    refused("an-extension", json!("x"));
    refused("extension", json!(1.5));
    refused("extension", json!(2_147_483_648_i64));
    refused("extension", json!([1]));
    refused("extension", json!({"a": 1}));
    refused("extension", json!("\u{1}"));
    refused("data_base64", json!("no Base64!"));
    refused("data_base64", json!(7));

    let mut both = good.clone();
    both["data"] = json!(1);
    both["data_base64"] = json!("AA==");
    let error = CloudEvent::from_json(&both.to_string()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let mut no_text = good.clone();
    no_text["datacontenttype"] = json!("application/xml");
    no_text["data"] = json!({"a": 1});
    let error = CloudEvent::from_json(&no_text.to_string()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);

    for no_json in ["", "{", "[]", "7", r#"{"id": "\ud800"}"#] {
        let error = CloudEvent::from_json(no_json).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Payload, "{no_json}");
    }
}

#[test]
fn an_event_in_headers_that_breaks_a_rule_is_not_read() {
    let place = Place::new();
    let good = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/"),
        ("ce-type", "t"),
    ];
    let message = |headers: &[(&str, &str)]| {
        let message = NewMessage::json("events", &1).unwrap();
        let with =
            |message: NewMessage, (name, value): &(&str, &str)| message.header(*name, *value);
        through(&place, headers.iter().fold(message, with))
    };
    assert!(CloudEvent::from_message(&message(&good)).unwrap().is_some());
    let refused = |headers: &[(&str, &str)]| {
        let error = CloudEvent::from_message(&message(headers)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{headers:?}");
    };
    for missing in 1..good.len() {
        let mut headers = good.to_vec();
        headers.remove(missing);
        refused(&headers);
    }
    for broken in [
        ("ce-specversion", "0.3"),
        ("ce-id", ""),
        ("ce-source", "a b"),
        ("ce-type", ""),
        ("ce-time", "now"),
        ("ce-dataschema", "x"),
        ("ce-subject", ""),
        ("ce-datacontenttype", "application/json"),
        ("ce-data", "x"),
        ("ce-With-Dash", "x"),
        ("ce-", "x"),
        ("ce-extension", "a\nb"),
        (CONTENT_TYPE, "json"),
    ] {
        let mut headers = good.to_vec();
        headers.push(broken);
        refused(&headers);
    }
}

#[test]
fn what_an_event_says_is_in_no_text_of_an_error() {
    let json = r#"{"specversion":"1.0","id":"1","source":"canary canary","type":"t"}"#;
    let other = r#"{"specversion":"1.0","id":"1","source":"/","type":"t","canary-x":"canary"}"#;
    let broken = r#"{"specversion":"1.0","canary":"canary"#;
    for text in [json, other, broken] {
        let error = CloudEvent::from_json(text).unwrap_err();
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}
