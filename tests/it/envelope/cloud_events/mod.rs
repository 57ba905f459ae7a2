//! CloudEvents in both modes. The examples are those of the specification: section 3.2 of its JSON
//! format 1.0.2, each in JSON and in binary mode, and those of its attributes.

mod refused;

use super::only;
use crate::support::{Place, next};
use crossbeam_channel::unbounded;
use outtray::envelope::{CONTENT_TYPE, MESSAGE_TYPE};
use outtray::{
    CloudEvent, ContentMode, ErrorKind, EventData, ExtensionValue, Headers, Message, NewMessage,
    Payload, Result,
};
use serde_json::{Value, json};

/// With bytes: "... base64 encoded string ..." in Base64.
const BINARY: &str = r#"{
    "specversion" : "1.0",
    "type" : "com.example.someevent",
    "source" : "/mycontext",
    "id" : "A234-1234-1234",
    "time" : "2018-04-05T17:31:00Z",
    "comexampleextension1" : "value",
    "comexampleothervalue" : 5,
    "datacontenttype" : "application/vnd.apache.thrift.binary",
    "data_base64" : "Li4uIGJhc2U2NCBlbmNvZGVkIHN0cmluZyAuLi4="
}"#;

const XML: &str = r#"{
    "specversion" : "1.0",
    "type" : "com.example.someevent",
    "source" : "/mycontext",
    "id" : "B234-1234-1234",
    "time" : "2018-04-05T17:31:00Z",
    "comexampleextension1" : "value",
    "comexampleothervalue" : 5,
    "unsetextension": null,
    "datacontenttype" : "application/xml",
    "data" : "<much wow=\"xml\"/>"
}"#;

const OBJECT: &str = r#"{
    "specversion" : "1.0",
    "type" : "com.example.someevent",
    "source" : "/mycontext",
    "subject": null,
    "id" : "C234-1234-1234",
    "time" : "2018-04-05T17:31:00Z",
    "comexampleextension1" : "value",
    "comexampleothervalue" : 5,
    "datacontenttype" : "application/json",
    "data" : {
        "appinfoA" : "abc",
        "appinfoB" : 123,
        "appinfoC" : true
    }
}"#;

const STRING: &str = r#"{
    "specversion" : "1.0",
    "type" : "com.example.someevent",
    "source" : "/mycontext",
    "subject": null,
    "id" : "D234-1234-1234",
    "time" : "2018-04-05T17:31:00Z",
    "comexampleextension1" : "value",
    "comexampleothervalue" : 5,
    "data" : "I'm just a string"
}"#;

/// Sends a message and returns it as a handler gets it.
fn through(place: &Place, message: NewMessage) -> Message<Payload> {
    place.send_new(message);
    let (tell, told) = unbounded();
    let drained = place
        .messaging
        .drain("events", |_, message: Message<Payload>| {
            Ok(tell.send(message)?)
        });
    drained.unwrap();
    next(&told, 1).remove(0)
}

/// Returns the message of an event in binary mode, as a handler gets it.
fn in_binary(place: &Place, event: &CloudEvent) -> Message<Payload> {
    through(
        place,
        event.to_message("events", ContentMode::Binary).unwrap(),
    )
}

/// Checks that an example in JSON is read, written as the same JSON, and becomes these in binary
/// mode.
#[track_caller]
fn check_example(example: &str, id: &str, content_type: &str, payload: &[u8]) {
    let event = CloudEvent::from_json(example).unwrap();
    assert_eq!(event.id, id);
    assert_eq!(event.source, "/mycontext");
    assert_eq!(event.event_type, "com.example.someevent");
    assert_eq!(event.time.as_deref(), Some("2018-04-05T17:31:00Z"));
    assert_eq!(event.subject, None);
    assert_eq!(event.extensions.len(), 2, "null is not set");
    let five = ExtensionValue::Integer(5);
    assert_eq!(event.extensions["comexampleothervalue"], five);

    let structured = event.to_message("events", ContentMode::Structured);
    let place = &Place::new();
    let message = through(place, structured.unwrap());
    assert_eq!(message.content_type(), Some("application/cloudevents+json"));
    assert_eq!(message.message_type(), Some("com.example.someevent"));
    let mut written: Value = serde_json::from_slice(message.payload.as_bytes()).unwrap();
    let mut expected: Value = serde_json::from_str(example).unwrap();
    for json in [&mut written, &mut expected] {
        json.as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
    }
    assert_eq!(written, expected);
    assert_eq!(
        CloudEvent::from_message(&message).unwrap(),
        Some(event.clone())
    );

    let message = in_binary(place, &event);
    let expected: Headers = [
        ("ce-specversion", "1.0"),
        ("ce-type", "com.example.someevent"),
        ("ce-source", "/mycontext"),
        ("ce-id", id),
        ("ce-time", "2018-04-05T17:31:00Z"),
        ("ce-comexampleextension1", "value"),
        ("ce-comexampleothervalue", "5"),
        (CONTENT_TYPE, content_type),
        (MESSAGE_TYPE, "com.example.someevent"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    assert_eq!(message.headers, expected);
    assert_eq!(message.payload.as_bytes(), payload);

    let read = CloudEvent::from_message(&message).unwrap().unwrap();
    assert_eq!(read.id, id);
    assert_eq!(read.datacontenttype.as_deref(), Some(content_type));
    assert_eq!(read.data.unwrap().as_bytes(), payload);
    let five = ExtensionValue::Text("5".to_owned());
    assert_eq!(read.extensions["comexampleothervalue"], five);
}

#[test]
fn the_examples_of_the_specification_go_through_both_modes() {
    check_example(
        BINARY,
        "A234-1234-1234",
        "application/vnd.apache.thrift.binary",
        b"... base64 encoded string ...",
    );
    check_example(
        XML,
        "B234-1234-1234",
        "application/xml",
        b"<much wow=\"xml\"/>",
    );
    let object = b"{
        \"appinfoA\" : \"abc\",
        \"appinfoB\" : 123,
        \"appinfoC\" : true
    }";
    check_example(OBJECT, "C234-1234-1234", "application/json", object);
    // Quoted: it is JSON that implies its media type.
    check_example(
        STRING,
        "D234-1234-1234",
        "application/json",
        b"\"I'm just a string\"",
    );
}

#[test]
fn data_is_what_its_media_type_says() {
    let data = |example: &str| CloudEvent::from_json(example).unwrap().data.unwrap();
    let bytes = b"... base64 encoded string ...".to_vec();
    assert_eq!(data(BINARY), EventData::Bytes(bytes.clone()));
    assert_eq!(data(XML), EventData::Text("<much wow=\"xml\"/>".to_owned()));
    assert!(matches!(data(OBJECT), EventData::Json(_)));
    assert_eq!(data(STRING), EventData::json("I'm just a string").unwrap());

    let event = |example| CloudEvent::from_json(example).unwrap();
    assert_eq!(event(BINARY).decode::<Vec<u8>>().unwrap(), bytes);
    assert_eq!(
        event(XML).decode::<String>().unwrap(),
        "<much wow=\"xml\"/>"
    );
    assert_eq!(event(OBJECT).decode::<Value>().unwrap()["appinfoB"], 123);
    assert_eq!(
        event(STRING).decode::<String>().unwrap(),
        "I'm just a string"
    );
    let error = event(OBJECT).decode::<Vec<i32>>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Payload);
}

#[test]
fn an_event_of_what_it_has_to_have_goes_through_both_modes() {
    let place = &Place::new();
    let event = CloudEvent::new("1", "1-555-123-4567", "t");
    for mode in [ContentMode::Structured, ContentMode::Binary] {
        let message = through(place, event.to_message("events", mode).unwrap());
        assert_eq!(
            CloudEvent::from_message(&message).unwrap(),
            Some(event.clone())
        );
    }
    assert_eq!(event.decode::<Option<i32>>().unwrap(), None);
}

#[test]
fn an_event_of_all_that_it_may_have_goes_through_both_modes() {
    let place = &Place::new();
    let mut event = CloudEvent::new("Żółw 🐢", "https://example.com/a?b#c", "com.example.t");
    event.datacontenttype = Some("application/vnd.x+json; charset=utf-8".to_owned());
    event.dataschema = Some("https://example.com/schema#/definitions/t".to_owned());
    event.subject = Some("partnerid/5/clientid/100".to_owned());
    event.time = Some("2018-04-05T17:31:00.123456789-11:30".to_owned());
    event.data = Some(EventData::json(&json!({"n": [1.5, null]})).unwrap());
    let text = ExtensionValue::Text(String::new());
    event.extensions.insert("0empty".to_owned(), text);

    for mode in [ContentMode::Structured, ContentMode::Binary] {
        let message = through(place, event.to_message("events", mode).unwrap());
        assert_eq!(
            CloudEvent::from_message(&message).unwrap(),
            Some(event.clone())
        );
    }
}

#[test]
fn numbers_of_data_lose_no_digit_and_null_is_data() {
    let place = &Place::new();
    let json = r#"{"specversion":"1.0","id":"1","source":"/","type":"t","data":123456789012345678901234567890.10}"#;
    let event = CloudEvent::from_json(json).unwrap();
    assert_eq!(
        in_binary(place, &event).payload.to_string(),
        "123456789012345678901234567890.10"
    );
    assert!(
        event
            .to_json()
            .unwrap()
            .contains(":123456789012345678901234567890.10")
    );

    let null = json.replace("123456789012345678901234567890.10", "null");
    let event = CloudEvent::from_json(&null).unwrap();
    assert_eq!(event.data, Some(EventData::json(&()).unwrap()));
    let read = CloudEvent::from_message(&in_binary(place, &event)).unwrap();
    assert_eq!(read.unwrap().data, event.data);
}

#[test]
fn a_message_says_by_itself_in_which_mode_it_is_an_event() {
    let place = &Place::new();
    let read = |message| CloudEvent::from_message(&through(place, message));
    let plain = || NewMessage::json("events", &json!({"id": 1})).unwrap();
    assert_eq!(read(plain()).unwrap(), None);
    assert_eq!(
        read(plain().content_type("application/json")).unwrap(),
        None
    );
    assert_eq!(read(plain().header("ce-id", "1")).unwrap(), None);

    let upper = "Application/CloudEvents+JSON; charset=UTF-8";
    let structured = NewMessage::json_text("events", OBJECT).unwrap();
    assert!(read(structured.content_type(upper)).unwrap().is_some());
    let structured = NewMessage::bytes("events", OBJECT).content_type(upper);
    assert!(read(structured).unwrap().is_some());

    for other in [
        "application/cloudevents-batch+json",
        "application/cloudevents+avro",
        "application/cloudevents",
    ] {
        let error = read(plain().content_type(other)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    let no_event = plain().content_type("application/cloudevents+json");
    assert_eq!(read(no_event).unwrap_err().kind(), ErrorKind::Invalid);
    let no_json = NewMessage::bytes("events", [255]).content_type(upper);
    assert_eq!(read(no_json).unwrap_err().kind(), ErrorKind::Payload);
}

#[test]
fn data_in_binary_mode_is_read_by_its_media_type() {
    let place = &Place::new();
    let data = |message: NewMessage| -> Result<Option<EventData>> {
        let message = message
            .header("ce-specversion", "1.0")
            .header("ce-id", "1")
            .header("ce-source", "/")
            .header("ce-type", "t");
        Ok(CloudEvent::from_message(&through(place, message))?.and_then(|event| event.data))
    };
    let bytes = |bytes: &str| NewMessage::bytes("events", bytes);
    let json = NewMessage::json("events", &7).unwrap();
    let seven = EventData::json(&7).unwrap();
    assert_eq!(data(json.clone()).unwrap(), Some(seven.clone()));
    let typed = json.clone().content_type("text/json");
    assert_eq!(data(typed).unwrap(), Some(seven.clone()));
    let typed = bytes("7").content_type("application/x+json; charset=utf-8");
    assert_eq!(data(typed).unwrap(), Some(seven));
    let as_bytes = Some(EventData::Bytes(b"7".to_vec()));
    assert_eq!(data(bytes("7")).unwrap(), as_bytes);
    assert_eq!(
        data(bytes("7").content_type("text/plain")).unwrap(),
        as_bytes
    );
    assert_eq!(data(json.content_type("text/plain")).unwrap(), as_bytes);
    assert_eq!(
        data(bytes("").content_type("application/json")).unwrap(),
        None
    );
    let broken = data(bytes("{").content_type("application/json"));
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::Payload);
}

#[test]
fn an_event_carries_on_as_any_message_does() {
    let place = Place::new();
    let id = place.send("jobs", &1);
    let event = CloudEvent::new("1", "/", "t");
    let drained = place.messaging.drain("jobs", |session, _: Message| {
        session.send(event.to_message("events", ContentMode::Structured)?)?;
        Ok(())
    });
    drained.unwrap();

    let message = only(&place, "events");

    assert_eq!(message.causation_id(), Some(id.to_string().as_str()));
    assert_eq!(message.message_type(), Some("t"));
}
