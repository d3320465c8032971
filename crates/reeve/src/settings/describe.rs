//! Descriptions of settings: key, documentation, kind and value. Loading, `reeve config` and the settings page
//! are all derived from them, so each key is written once.

use std::path::PathBuf;

use toml::Value;

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
}

/// A type that holds one value.
pub(super) trait Leaf {
    const KIND: Kind;
    /// The value as in a settings file; `None` when not set.
    fn value(&self) -> Option<Value>;
    /// A text to show when the value must not be shown.
    fn masked(&self) -> Option<String> {
        None
    }
}

impl<T: Leaf> Setting for T {
    fn describe(&self, key: String, doc: &'static [&'static str], out: &mut Vec<Entry>) {
        out.push(Entry { key, doc, kind: T::KIND, value: self.value(), masked: self.masked() });
    }
}

impl<T: Leaf> Leaf for Option<T> {
    const KIND: Kind = T::KIND;
    fn value(&self) -> Option<Value> {
        self.as_ref().and_then(Leaf::value)
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
}

impl Leaf for f64 {
    const KIND: Kind = Kind::Number;
    fn value(&self) -> Option<Value> {
        Some(Value::Float(*self))
    }
}

impl Leaf for i64 {
    const KIND: Kind = Kind::Integer;
    fn value(&self) -> Option<Value> {
        Some(Value::Integer(*self))
    }
}

impl Leaf for u32 {
    const KIND: Kind = Kind::Integer;
    fn value(&self) -> Option<Value> {
        Some(Value::Integer(i64::from(*self)))
    }
}

impl Leaf for usize {
    const KIND: Kind = Kind::Integer;
    fn value(&self) -> Option<Value> {
        // A size beyond i64 cannot have come from a file; saturating keeps this total.
        Some(Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX)))
    }
}

impl Leaf for String {
    const KIND: Kind = Kind::Text;
    fn value(&self) -> Option<Value> {
        Some(Value::String(self.clone()))
    }
}

impl Leaf for PathBuf {
    const KIND: Kind = Kind::Text;
    fn value(&self) -> Option<Value> {
        Some(Value::String(self.to_string_lossy().into_owned()))
    }
}

impl Leaf for Vec<String> {
    const KIND: Kind = Kind::List;
    fn value(&self) -> Option<Value> {
        Some(Value::Array(self.iter().cloned().map(Value::String).collect()))
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
        #[derive(Clone, Debug, PartialEq, serde::Deserialize)]
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
        }
    )+ };
}

pub(super) use sections;
