//! From file and flags to a checked configuration.

use std::{fs, path::Path};

use toml::{Table, Value};

use crate::config::{Config, ConfigError};

/// What flags say: dotted keys and values, the last one of a key counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides(Vec<(String, Value)>);

impl Overrides {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// `set("router.listen", "0.0.0.0:443")`; numbers and truth values keep their type.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.0.push((key.to_owned(), value.into()));
        self
    }

    /// One `--set router.listen=0.0.0.0:443`: the value is TOML, or else a string as it stands.
    pub fn parse(&mut self, assignment: &str) -> Result<&mut Self, ConfigError> {
        let (key, value) = assignment.split_once('=').ok_or_else(|| ConfigError::Syntax {
            place: "flags".to_owned(),
            message: format!("expected `key=value`, found `{assignment}`"),
        })?;
        let value = value.parse::<Value>().unwrap_or_else(|_| Value::String(value.to_owned()));
        Ok(self.set(key.trim(), value))
    }
}

impl Config {
    /// Reads the file, if there is one, lets flags replace its keys, and checks the whole.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let text = match file {
            Some(path) => {
                fs::read_to_string(path).map_err(|error| ConfigError::File { path: path.to_owned(), error })?
            }
            None => String::new(),
        };
        let place = file.map_or_else(|| "flags".to_owned(), |it| it.display().to_string());
        Self::parse(&place, &text, overrides)
    }

    /// As [`Config::load`] with the file's text; `place` is what errors call it.
    pub fn parse(place: &str, text: &str, overrides: &Overrides) -> Result<Self, ConfigError> {
        // By itself first, so that its mistakes are shown at their lines.
        toml::from_str::<Self>(text).map_err(|error| syntax(place, &error))?;
        let mut table: Table = toml::from_str(text).map_err(|error| syntax(place, &error))?;
        for (key, value) in &overrides.0 {
            replace(&mut table, key, value.clone())?;
        }
        let config: Self = Value::Table(table).try_into().map_err(|error| syntax("flags", &error))?;
        config.validate()?;
        Ok(config)
    }
}

fn replace(table: &mut Table, key: &str, value: Value) -> Result<(), ConfigError> {
    let (table, last) = match key.split_once('.') {
        None => (table, key),
        Some((section, last)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(section) = section else {
                return Err(ConfigError::Value { key: key.to_owned(), problem: "is not in a section".to_owned() });
            };
            (section, last)
        }
    };
    table.insert(last.to_owned(), value);
    Ok(())
}

fn syntax(place: &str, error: &toml::de::Error) -> ConfigError {
    ConfigError::Syntax { place: place.to_owned(), message: error.to_string().trim_end().to_owned() }
}
