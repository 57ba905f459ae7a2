//! The settings of a topic: all that there are, and a form that changes them.
//!
//! The form sends what each field was when the page was made, too. Only what somebody changed is
//! set, so that two people who change different settings do not undo each other.

use crate::dashboard::frame::parts::{Column, plain, table, text, topic_link};
use crate::dashboard::frame::view::{ChangeForm, Done, PageTrouble, Rendered, View};
use crate::words::Result;
use crate::words::topic_config::{TopicConfig, TopicSetting};
use maud::{Markup, html};

pub(crate) fn show(view: &View<'_>) -> Result<Rendered, PageTrouble> {
    let topic = view.needs("topic")?;
    let config = view.messaging().topic(topic).config()?;
    let list = match view.may_change() {
        true => form(view, topic, &config),
        false => listed(&config),
    };
    let content = html! {
        p.crumbs { a href=(view.href("/", &[])) { "Topics" } " / " (topic_link(view, topic)) }
        h1 { "Settings of " span.topic { (text(topic)) } }
        p.dim { "An empty setting is left to its default, or to what a receiver or a message says." }
        (list)
    };
    Ok(Rendered::new(format!("Settings of {topic}"), content))
}

fn listed(config: &TopicConfig) -> Markup {
    let columns = [
        Column::text("Setting"),
        Column::text("Value"),
        Column::text("What it says"),
    ];
    let rows = TopicConfig::settings().iter().map(|setting| {
        let value = config.get(setting.name);
        vec![
            html! { code { (setting.name) } },
            html! { @match &value { Some(value) => strong { (text(value)) }, None => span.none { "default" } } },
            html! { (setting.help) },
        ]
    });
    table("Settings", &columns, rows.collect(), "")
}

fn form(view: &View<'_>, topic: &str, config: &TopicConfig) -> Markup {
    let fields = html! {
        div.settings {
            @for setting in TopicConfig::settings() {
                (field(setting, config.get(setting.name).as_deref().unwrap_or_default()))
            }
        }
        p.actions { button.primary type="submit" { "Save what was changed" } }
    };
    view.form("/settings/save", &[("topic", topic)], fields)
}

fn field(setting: &TopicSetting, value: &str) -> Markup {
    let (name, value) = (setting.name, plain(value));
    let help = format!("help-{name}");
    html! {
        div.setting {
            label for=(name) { code { (name) } }
            input id=(name) name={ "set." (name) } value=(value) placeholder="default" aria-describedby=(help) autocomplete="off" spellcheck="false";
            input type="hidden" name={ "was." (name) } value=(value);
            p.help id=(help) { (setting.help) br; "for example " span.values { (setting.values) } }
        }
    }
}

pub(crate) fn save(change: &ChangeForm<'_>) -> Result<Done, PageTrouble> {
    let topic = change.needs("topic")?;
    let changed: Vec<(&str, &str)> = TopicConfig::settings()
        .iter()
        .filter_map(|setting| changed_value(change, setting.name))
        .collect();
    if changed.is_empty() {
        return Ok(Done::new(format!("No setting of {topic} was changed")).of(topic));
    }
    // What cannot be read is found before anything is locked.
    apply(&mut TopicConfig::default(), &changed)?;
    let mut applied = Ok(());
    change.messaging().topic(topic).reconfigure(|config| {
        applied = apply(config, &changed);
    })?;
    applied?;
    let told: Vec<String> = changed
        .iter()
        .map(|(name, value)| match *value {
            "" => format!("{name} to its default"),
            value => format!("{name} to {value}"),
        })
        .collect();
    let text = format!("Set for {topic}: {}", told.join(", "));
    let page = change.href("/topic", &[("name", topic)]);
    Ok(Done::new(text).of(topic).then(page))
}

/// Returns a setting and its new value, if somebody gave it one.
fn changed_value<'c>(change: &'c ChangeForm<'_>, name: &'c str) -> Option<(&'c str, &'c str)> {
    let (set, was) = (format!("set.{name}"), format!("was.{name}"));
    if !change.form.has(&set) {
        return None;
    }
    let set = change.form.get(&set).unwrap_or_default().trim();
    let was = change.form.get(&was).unwrap_or_default();
    (set != was).then_some((name, set))
}

fn apply(config: &mut TopicConfig, changed: &[(&str, &str)]) -> Result<()> {
    changed.iter().try_for_each(|(name, value)| match *value {
        "" => config.unset(name),
        value => config.set(name, value),
    })
}
