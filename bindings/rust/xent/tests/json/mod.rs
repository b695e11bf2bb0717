// SPDX-License-Identifier: Apache-2.0
//! As much JSON as vectors.json needs, without a crate: strings have no escapes.

use std::collections::HashMap;

#[derive(Clone, Debug)]
pub enum Json {
    Text(String), // a number keeps its digits, so that 64-bit integers and floats are both exact
    List(Vec<Json>),
    Object(HashMap<String, Json>),
}

impl Json {
    pub fn read(text: &str) -> Json {
        let mut rest = text;
        value(&mut rest)
    }

    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(fields) => fields.get(key),
            _ => None,
        }
    }

    pub fn list(&self) -> &[Json] {
        match self {
            Json::List(items) => items,
            other => panic!("not a list: {other:?}"),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Json::Text(text) => text,
            other => panic!("not text: {other:?}"),
        }
    }

    pub fn parse<N: std::str::FromStr>(&self) -> N {
        self.text().parse().unwrap_or_else(|_| panic!("not a number: {self:?}"))
    }
}

fn value(rest: &mut &str) -> Json {
    *rest = rest.trim_start();
    match rest.as_bytes()[0] {
        b'{' => Json::Object(items(rest, '}', |rest| {
            let key = string(rest);
            skip(rest, ':');
            (key, value(rest))
        })),
        b'[' => Json::List(items(rest, ']', value)),
        b'"' => Json::Text(string(rest)),
        _ => {
            let end = rest.find([',', ']', '}']).expect("a number ends");
            let (number, after) = rest.split_at(end);
            *rest = after;
            Json::Text(number.trim().into())
        }
    }
}

fn items<T, C: FromIterator<T>>(rest: &mut &str, close: char, mut item: impl FnMut(&mut &str) -> T) -> C {
    *rest = &rest[1..];
    let mut found = Vec::new();
    while !rest.trim_start().starts_with(close) {
        found.push(item(rest));
        if rest.trim_start().starts_with(',') {
            skip(rest, ',');
        }
    }
    skip(rest, close);
    found.into_iter().collect()
}

fn skip(rest: &mut &str, mark: char) {
    *rest = rest.trim_start().strip_prefix(mark).unwrap_or_else(|| panic!("{mark} expected at {:.40}", rest));
}

fn string(rest: &mut &str) -> String {
    skip(rest, '"');
    let (text, after) = rest.split_once('"').expect("a string ends");
    *rest = after;
    text.into()
}
