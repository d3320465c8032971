//! Request bodies. One definition of a body, by [`body!`](crate::body!), makes both its schema in the OpenAPI document
//! and the struct that its handler reads.
//!
//! A handler reads the keys one by one, since each error has its own text, and their order is that of the reads. It
//! can only read keys that the definition has; the compiler warns of a key that no handler reads.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use reeve_model::MatrixError;
use serde_json::Value;
use utoipa::ToSchema;

use crate::json::{self, Integer, Object};

/// Defines request bodies:
///
/// ```ignore
/// body! {
///     /// The new state of a device.
///     pub(crate) struct ChangeDevice {
///         /// A required key.
///         device_id: String,
///         /// A key that can be absent or null.
///         display_name: Option<String>,
///         /// A key that can be absent, but not null.
///         trusted?: bool,
///         /// A key whose name is not an identifier.
///         read = "m.read": Option<String>,
///         ..more
///     }
/// }
/// ```
///
/// Doc comments become descriptions, and attributes `#[schema(…)]` of `utoipa` are kept: a key with
/// `#[schema(ignore)]` can be read and is not documented. Each field is a [`Key`] of the given type, and as visible as
/// the struct. `..more` is for bodies with keys of any name: the field `more` has the keys that are not defined.
#[macro_export]
macro_rules! body {
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $key:literal) => { $key };
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {$(
            $(#[$about:meta])*
            $field:ident $(= $key:literal)? $(? : $omittable:ty)? $(: $kind:ty)?,
        )* $(..$more:ident)?}
    )+) => {$(
        #[derive(::utoipa::ToSchema)]
        $(#[$meta])*
        $vis struct $name {$(
            $(#[$about])*
            $(#[schema(rename = $key)])?
            $(#[schema(value_type = $kind)])?
            $(#[schema(value_type = $omittable, required = false)])?
            $vis $field: $crate::body::Key<$($kind)? $($crate::body::Omittable<$omittable>)?>,
        )* $(
            #[schema(value_type = Object, ignore)]
            $vis $more: $crate::json::Object,
        )?}

        impl $crate::body::Body for $name {
            fn of(mut object: $crate::json::Object) -> Self {
                Self {$(
                    $field: $crate::body::Key::take(&mut object, $crate::body!(@name $field $($key)?)),
                )* $(
                    $more: object,
                )?}
            }
        }

        impl $crate::body::Readable for $name {
            type Read = Self;

            const WHAT: &'static str = "an object";

            fn read(value: &::serde_json::Value) -> Option<Self> {
                value.as_object().cloned().map($crate::body::Body::of)
            }
        }
    )+};
}

/// A request body, which is a JSON object.
pub trait Body: ToSchema {
    /// Returns the body that has these keys. Keys that it does not define are ignored.
    fn of(object: Object) -> Self;
}

/// The type of a key of a body, as the schema states it.
pub trait Readable {
    /// The type of its values in handlers.
    type Read;

    /// The type in words, as in "must be a string".
    const WHAT: &'static str;

    /// Reads a value; `None` if it has another type.
    fn read(value: &Value) -> Option<Self::Read>;

    /// Returns the value of an absent key; `None` if the key is required.
    fn absent() -> Option<Self::Read> {
        None
    }
}

/// The type of a key that can be absent, but not null: `key?: T` in [`body!`](crate::body!).
pub struct Omittable<T>(PhantomData<T>);

/// A key of a body, with its value in the request.
pub struct Key<T> {
    name: &'static str,
    value: Option<Value>,
    kind: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// Takes a key out of an object.
    pub fn take(object: &mut Object, name: &'static str) -> Self {
        Self { name, value: object.swap_remove(name), kind: PhantomData }
    }

    /// Returns the name of the key.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the value, of any type; `None` if it is absent. For keys that accept more than their documented type,
    /// or whose errors depend on the value.
    pub const fn value(&self) -> Option<&Value> {
        self.value.as_ref()
    }

    /// Returns the name and the value; `None` if it is absent.
    pub fn into_pair(self) -> Option<(String, Value)> {
        self.value.map(|value| (self.name.to_owned(), value))
    }

    /// Returns the name if the key is absent, for [`require`].
    pub const fn missing(&self) -> Option<&'static str> {
        if self.value.is_none() { Some(self.name) } else { None }
    }
}

impl<T: Readable> Key<T> {
    /// Returns the value. Refuses a value of another type with `M_BAD_JSON`, and a required key that is absent with
    /// `M_MISSING_PARAM`.
    pub fn read(&self) -> Result<T::Read, MatrixError> {
        self.read_or(|name| MatrixError::bad_json(format!("'{name}' must be {}", T::WHAT)))
    }

    /// Returns the value, as [`Key::read`] does, with another error for a value of another type. The error can
    /// contain the name of the key.
    pub fn read_or(&self, refusal: impl FnOnce(&'static str) -> MatrixError) -> Result<T::Read, MatrixError> {
        match &self.value {
            None => T::absent().ok_or_else(|| MatrixError::missing_params(&[self.name])),
            Some(value) => T::read(value).ok_or_else(|| refusal(self.name)),
        }
    }
}

/// Checks that no key is missing, whatever the values, and names all that are.
pub fn require(missing: impl IntoIterator<Item = Option<&'static str>>) -> Result<(), MatrixError> {
    let missing: Vec<&str> = missing.into_iter().flatten().collect();
    if missing.is_empty() { Ok(()) } else { Err(MatrixError::missing_params(&missing)) }
}

impl<T: Readable> Readable for Option<T> {
    type Read = Option<T::Read>;

    const WHAT: &'static str = T::WHAT;

    fn read(value: &Value) -> Option<Self::Read> {
        if value.is_null() { Some(None) } else { T::read(value).map(Some) }
    }

    fn absent() -> Option<Self::Read> {
        Some(None)
    }
}

impl<T: Readable> Readable for Omittable<T> {
    type Read = Option<T::Read>;

    const WHAT: &'static str = T::WHAT;

    fn read(value: &Value) -> Option<Self::Read> {
        T::read(value).map(Some)
    }

    fn absent() -> Option<Self::Read> {
        Some(None)
    }
}

impl Readable for String {
    type Read = Self;

    const WHAT: &'static str = "a string";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl Readable for Value {
    type Read = Self;

    const WHAT: &'static str = "a value";

    fn read(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}

impl Readable for bool {
    type Read = Self;

    const WHAT: &'static str = "a boolean";

    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Readable for i64 {
    type Read = Self;

    const WHAT: &'static str = "an integer";

    fn read(value: &Value) -> Option<Self> {
        match json::integer(value) {
            Integer::Is(number) => Some(number),
            Integer::TooLarge | Integer::Not => None,
        }
    }
}

impl Readable for f64 {
    type Read = Self;

    const WHAT: &'static str = "a number";

    fn read(value: &Value) -> Option<Self> {
        value.as_f64()
    }
}

impl<T: Readable> Readable for Vec<T> {
    type Read = Vec<T::Read>;

    const WHAT: &'static str = "a list";

    fn read(value: &Value) -> Option<Self::Read> {
        value.as_array()?.iter().map(T::read).collect()
    }
}

impl<T: Readable> Readable for BTreeMap<String, T> {
    type Read = BTreeMap<String, T::Read>;

    const WHAT: &'static str = "an object";

    fn read(value: &Value) -> Option<Self::Read> {
        value.as_object()?.iter().map(|(key, value)| Some((key.clone(), T::read(value)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use utoipa::PartialSchema;

    use super::*;

    crate::body! {
        /// An order.
        struct Order {
            /// Its number.
            number: i64,
            note: Option<String>,
            urgent?: bool,
            kind = "type": String,
            items: Option<Vec<Item>>,
            #[schema(ignore)]
            old: Option<bool>,
        }

        /// An item.
        struct Item {
            name: String,
            ..more
        }
    }

    fn order(value: Value) -> Order {
        Order::read(&value).unwrap()
    }

    #[test]
    fn a_definition_makes_a_schema() {
        let schema = json!(Order::schema());
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "description": "An order.",
                "required": ["number", "type"],
                "properties": {
                    "number": { "type": "integer", "format": "int64", "description": "Its number." },
                    "note": { "type": ["string", "null"] },
                    "urgent": { "type": "boolean" },
                    "type": { "type": "string" },
                    "items": { "type": ["array", "null"], "items": { "$ref": "#/components/schemas/Item" } },
                },
            })
        );
        let mut others = Vec::new();
        Order::schemas(&mut others);
        assert_eq!(others.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["Item"]);
    }

    /// Returns the value of a key, or the text of the error.
    fn read<T: Readable>(key: &Key<T>) -> Result<T::Read, String> {
        key.read().map_err(|error| error.error.into_owned())
    }

    fn error<T>(text: &str) -> Result<T, String> {
        Err(text.to_owned())
    }

    #[test]
    fn values_are_read_as_the_schema_says() {
        let all = order(json!({
            "number": 1,
            "note": "x",
            "urgent": true,
            "type": "t",
            "items": [{ "name": "a", "colour": "red" }, {}],
            "old": true,
            "other": 1,
        }));
        assert_eq!(read(&all.number), Ok(1));
        assert_eq!(read(&all.note), Ok(Some("x".to_owned())));
        assert_eq!(read(&all.urgent), Ok(Some(true)));
        assert_eq!(read(&all.kind), Ok("t".to_owned()));
        assert_eq!(read(&all.old), Ok(Some(true)));
        let items = all.items.read().unwrap().unwrap();
        assert_eq!(read(&items[0].name), Ok("a".to_owned()));
        assert_eq!(json!(items[0].more), json!({ "colour": "red" }));
        assert_eq!(items[1].name.missing(), Some("name"));
    }

    #[test]
    fn absence_and_null_are_what_the_schema_says() {
        let (none, null) = (order(json!({})), order(json!({ "number": null, "note": null, "urgent": null })));
        assert_eq!(read(&none.number), error("Missing params: ['number']"));
        assert_eq!(none.number.read().unwrap_err().errcode, "M_MISSING_PARAM");
        assert_eq!(read(&null.number), error("'number' must be an integer"));
        assert_eq!((read(&none.note), read(&null.note)), (Ok(None), Ok(None)));
        assert_eq!(read(&none.urgent), Ok(None));
        assert_eq!(read(&null.urgent), error("'urgent' must be a boolean"));
        let missing = require([none.number.missing(), none.note.missing(), none.kind.missing()]);
        assert_eq!(missing.unwrap_err().error, "Missing params: ['number', 'note', 'type']");
        require([null.number.missing(), null.note.missing()]).unwrap();
    }

    #[test]
    fn other_types_are_refused() {
        let wrong = order(json!({ "number": 1.0, "note": 1, "urgent": "true", "items": [1], "type": [] }));
        assert_eq!(read(&wrong.number), error("'number' must be an integer"));
        assert_eq!(read(&wrong.note), error("'note' must be a string"));
        assert_eq!(read(&wrong.urgent), error("'urgent' must be a boolean"));
        assert_eq!(wrong.items.read().err().unwrap().error, "'items' must be a list");
        let refused =
            wrong.kind.read_or(|name| MatrixError::invalid_param(format!("no {name}"))).unwrap_err();
        assert_eq!((&*refused.errcode, &*refused.error), ("M_INVALID_PARAM", "no type"));
    }
}
