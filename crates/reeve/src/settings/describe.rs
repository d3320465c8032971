//! Descriptions of settings: key, documentation, kind and value. Loading, `reeve config` and the settings page
//! are all derived from them, so each key is written once.

use std::path::PathBuf;

use toml::Value;

use super::layer::{self, Layer};

/// The kind of a value, as shown to operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A table of further keys.
    Section,
    Text,
    /// Text that may be a secret. It can be read from the file that the key with the suffix `_path` names.
    Secret,
    Boolean,
    Integer,
    Number,
    /// A list of texts.
    List,
}

impl Kind {
    /// The name used in messages and documentation.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Section => "table",
            Self::Text | Self::Secret => "text",
            Self::Boolean => "true or false",
            Self::Integer => "whole number",
            Self::Number => "number",
            Self::List => "list of texts",
        }
    }
}

/// One key (or section) of the settings with its current value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The full dotted key; empty for the settings as a whole.
    pub(super) key: String,
    /// Lines of Markdown, as written above the field.
    pub(super) doc: &'static [&'static str],
    pub(super) kind: Kind,
    /// The real value, secrets included; `None` when not set, and for sections.
    pub(super) value: Option<Value>,
    /// The text shown instead of a value that contains a secret.
    pub(super) masked: Option<String>,
}

/// A type of a field of a settings struct: a [`Leaf`] or a section declared by `sections!`.
pub(super) trait Setting {
    /// Appends the entries below `key`, itself first.
    fn describe(&self, key: String, doc: &'static [&'static str], out: &mut Vec<Entry>);

    /// Takes the values of the layers at and below `key`. A value that cannot be read leaves the default, and is added
    /// to `wrong`.
    fn read(&mut self, key: String, layers: &[Layer], wrong: &mut Vec<Problem>);
}

/// A key, and what is wrong with its value.
pub(super) struct Problem {
    pub(super) key: String,
    pub(super) problem: String,
}

/// A type that holds one value.
pub(super) trait Leaf {
    const KIND: Kind;
    /// The value as in a settings file; `None` when not set.
    fn value(&self) -> Option<Value>;
    /// Reverses [`Leaf::value`]; or returns what is wrong with a value.
    fn read(value: &Value) -> Result<Self, String>
    where
        Self: Sized;
    /// A text to show when the value must not be shown.
    fn masked(&self) -> Option<String> {
        None
    }
}

impl<T: Leaf> Setting for T {
    fn describe(&self, key: String, doc: &'static [&'static str], out: &mut Vec<Entry>) {
        out.push(Entry { key, doc, kind: T::KIND, value: self.value(), masked: self.masked() });
    }

    fn read(&mut self, key: String, layers: &[Layer], wrong: &mut Vec<Problem>) {
        match layer::find(layers, &key).map(|(_, value)| T::read(value)) {
            Some(Ok(value)) => *self = value,
            Some(Err(problem)) => wrong.push(Problem { key, problem }),
            None => {}
        }
    }
}

/// The problem that a value is not of the expected kind.
pub(super) fn wrong_kind(expected: Kind, found: &Value) -> String {
    format!("expected {}, found {}", expected.name(), kind_of(found))
}

/// The kind of an invalid value; never the value itself, which may be a secret.
fn kind_of(found: &Value) -> &'static str {
    match found {
        Value::Boolean(_) => "true or false",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
        Value::Datetime(_) => "a date",
    }
}

/// A text as the value of a setting of kind `expected`.
pub(super) fn text(expected: Kind, value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| wrong_kind(expected, value))
}

/// The texts of a list.
pub(super) fn texts(value: &Value) -> Result<Vec<&str>, String> {
    let items = value.as_array().ok_or_else(|| wrong_kind(Kind::List, value))?;
    items.iter().map(|item| text(Kind::List, item)).collect()
}

fn integer<T: TryFrom<i64>>(value: &Value) -> Result<T, String> {
    let number = value.as_integer().ok_or_else(|| wrong_kind(Kind::Integer, value))?;
    T::try_from(number).map_err(|_| format!("{number} is out of range"))
}

impl<T: Leaf> Leaf for Option<T> {
    const KIND: Kind = T::KIND;
    fn value(&self) -> Option<Value> {
        self.as_ref().and_then(Leaf::value)
    }
    fn read(value: &Value) -> Result<Self, String> {
        T::read(value).map(Some)
    }
    fn masked(&self) -> Option<String> {
        self.as_ref().and_then(Leaf::masked)
    }
}

impl Leaf for bool {
    const KIND: Kind = Kind::Boolean;
    fn value(&self) -> Option<Value> {
        Some(Value::Boolean(*self))
    }
    fn read(value: &Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| wrong_kind(Self::KIND, value))
    }
}

impl Leaf for f64 {
    const KIND: Kind = Kind::Number;
    fn value(&self) -> Option<Value> {
        Some(Value::Float(*self))
    }
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Float(number) => Ok(*number),
            value => integer(value).map(|number: i32| f64::from(number)),
        }
    }
}

impl Leaf for i64 {
    const KIND: Kind = Kind::Integer;
    fn value(&self) -> Option<Value> {
        Some(Value::Integer(*self))
    }
    fn read(value: &Value) -> Result<Self, String> {
        integer(value)
    }
}

impl Leaf for u32 {
    const KIND: Kind = Kind::Integer;
    fn value(&self) -> Option<Value> {
        Some(Value::Integer(i64::from(*self)))
    }
    fn read(value: &Value) -> Result<Self, String> {
        integer(value)
    }
}

impl Leaf for usize {
    const KIND: Kind = Kind::Integer;
    fn value(&self) -> Option<Value> {
        // A size beyond i64 cannot have come from a file; saturating keeps this total.
        Some(Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX)))
    }
    fn read(value: &Value) -> Result<Self, String> {
        integer(value)
    }
}

impl Leaf for String {
    const KIND: Kind = Kind::Text;
    fn value(&self) -> Option<Value> {
        Some(Value::String(self.clone()))
    }
    fn read(value: &Value) -> Result<Self, String> {
        text(Self::KIND, value).map(str::to_owned)
    }
}

impl Leaf for PathBuf {
    const KIND: Kind = Kind::Text;
    fn value(&self) -> Option<Value> {
        Some(Value::String(self.to_string_lossy().into_owned()))
    }
    fn read(value: &Value) -> Result<Self, String> {
        text(Self::KIND, value).map(Self::from)
    }
}

impl Leaf for Vec<String> {
    const KIND: Kind = Kind::List;
    fn value(&self) -> Option<Value> {
        Some(Value::Array(self.iter().cloned().map(Value::String).collect()))
    }
    fn read(value: &Value) -> Result<Self, String> {
        Ok(texts(value)?.into_iter().map(str::to_owned).collect())
    }
}

/// Declares settings structs. The documentation, type and default of each field are written only here: the
/// macro generates the struct, its `Default` and its [`Setting`] description from them.
macro_rules! sections {
    ($(
        $name:ident {
            $( $(#[doc = $field_doc:literal])+ $field:ident: $type:ty = $default:expr; )+
        }
    )+) => { $(
        #[doc = "A section of the settings. The documentation of the fields is that of the settings."]
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[doc = $field_doc])+ pub $field: $type, )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )+ }
            }
        }

        impl $crate::settings::describe::Setting for $name {
            fn describe(
                &self,
                key: String,
                doc: &'static [&'static str],
                out: &mut Vec<$crate::settings::describe::Entry>,
            ) {
                let prefix = if key.is_empty() { String::new() } else { format!("{key}.") };
                out.push($crate::settings::describe::Entry {
                    key,
                    doc,
                    kind: $crate::settings::describe::Kind::Section,
                    value: None,
                    masked: None,
                });
                $( $crate::settings::describe::Setting::describe(
                    &self.$field,
                    format!("{prefix}{}", stringify!($field)),
                    &[$($field_doc),+],
                    out,
                ); )+
            }

            fn read(
                &mut self,
                key: String,
                layers: &[$crate::settings::layer::Layer],
                wrong: &mut Vec<$crate::settings::describe::Problem>,
            ) {
                let prefix = if key.is_empty() { key } else { format!("{key}.") };
                $( $crate::settings::describe::Setting::read(
                    &mut self.$field,
                    format!("{prefix}{}", stringify!($field)),
                    layers,
                    wrong,
                ); )+
            }
        }
    )+ };
}

pub(super) use sections;
