//! Steps of a client program: each is one JSON line on standard output. A failed step ends nothing; a later step that needs its
//! result fails as not reached.

use serde_json::{json, Value};
use std::{env, error::Error, future::Future};

pub type Outcome<T> = Result<T, Box<dyn Error>>;

// What the scripted model server offers: one call and an answer, and words: five, two with 17 s between them, 21 with 1 s.
pub const CALLING: &str = "scripted:weather";
pub const WORDS: &str = "scripted:words:5";
pub const SILENT: &str = "scripted:words:2x17000";
pub const DRIPPING: &str = "scripted:words:21x1000";
pub const FUNCTION: &str = "get_current_weather";
pub const OUTPUT: &str = "mild";
pub const ANSWER: &str = "The current weather in San Francisco, CA: mild";

/// What a model of words says.
pub fn said(count: usize) -> String {
    (1..=count).map(|number| format!("word{number}")).collect::<Vec<_>>().join(" ")
}

pub fn parameters() -> Value {
    json!({ "type": "object", "properties": { "location": { "type": "string" } }, "required": ["location"] })
}

pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

pub async fn step<T>(name: &str, work: impl Future<Output = Outcome<T>>) -> Option<T> {
    let (result, detail) = match work.await {
        Ok(value) => (Some(value), String::new()),
        Err(error) => (None, error.to_string()),
    };
    println!(
        "{}",
        json!({ "step": name, "ok": result.is_some(), "detail": detail })
    );
    result
}

pub fn needed<'a, T>(result: &'a Option<T>, name: &str) -> Outcome<&'a T> {
    result
        .as_ref()
        .ok_or_else(|| format!("not reached: step {name} failed").into())
}

pub fn same<T: PartialEq + std::fmt::Debug>(actual: T, expected: T) -> Outcome<()> {
    if actual == expected {
        return Ok(());
    }
    Err(format!("{actual:?} is not {expected:?}").into())
}
