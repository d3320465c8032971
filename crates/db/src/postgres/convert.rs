//! Values between the program and the server.

use std::error::Error;

use postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

use crate::{DbError, Value};

/// The server's types, by the interface's type that they correspond to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Flag,
    Int16,
    Int32,
    Int64,
    Text,
    Blob,
}

impl Class {
    fn of(ty: &Type) -> Option<Self> {
        match *ty {
            Type::BOOL => Some(Self::Flag),
            Type::INT2 => Some(Self::Int16),
            Type::INT4 => Some(Self::Int32),
            Type::INT8 => Some(Self::Int64),
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => Some(Self::Text),
            Type::BYTEA => Some(Self::Blob),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Flag => "0 or 1",
            Self::Int16 => "an integer of 16 bits",
            Self::Int32 => "an integer of 32 bits",
            Self::Int64 => "an integer",
            Self::Text => "a text",
            Self::Blob => "bytes",
        }
    }

    fn accepts(self, value: &Value<'_>) -> bool {
        if matches!(value, Value::Null) {
            return true;
        }
        match self {
            Self::Flag => matches!(value, Value::Int(0 | 1)),
            Self::Int16 => matches!(value, Value::Int(int) if i16::try_from(*int).is_ok()),
            Self::Int32 => matches!(value, Value::Int(int) if i32::try_from(*int).is_ok()),
            Self::Int64 => matches!(value, Value::Int(_)),
            Self::Text => matches!(value, Value::Text(_)),
            Self::Blob => matches!(value, Value::Blob(_)),
        }
    }
}

/// Returns true if values of this type can be read and given.
pub(super) fn known(ty: &Type) -> bool {
    Class::of(ty).is_some()
}

/// Checks each value against the type that the server expects.
pub(super) fn check(types: &[Type], params: &[Value<'_>]) -> Result<(), DbError> {
    for (index, (ty, value)) in (1..).zip(types.iter().zip(params)) {
        let class = Class::of(ty);
        if !class.is_some_and(|class| class.accepts(value)) {
            let expected = class.map_or("a type that the server does not tell", Class::name);
            return Err(DbError::Type { place: "parameter", index, expected, found: value.kind() });
        }
    }
    Ok(())
}

/// A parameter that passed [`check`].
#[derive(Debug)]
pub(super) struct Param<'a>(pub(super) &'a Value<'a>);

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (Class::of(ty), *self.0) {
            (_, Value::Null) => Ok(IsNull::Yes),
            (Some(Class::Flag), Value::Int(int)) => (int == 1).to_sql(ty, out),
            (Some(Class::Int16), Value::Int(int)) => i16::try_from(int)?.to_sql(ty, out),
            (Some(Class::Int32), Value::Int(int)) => i32::try_from(int)?.to_sql(ty, out),
            (Some(Class::Int64), Value::Int(int)) => int.to_sql(ty, out),
            (Some(Class::Text), Value::Text(text)) => text.to_sql(ty, out),
            (Some(Class::Blob), Value::Blob(bytes)) => bytes.to_sql(ty, out),
            (
                None
                | Some(Class::Flag | Class::Int16 | Class::Int32 | Class::Int64 | Class::Text | Class::Blob),
                Value::Int(_) | Value::Text(_) | Value::Blob(_),
            ) => Err("a value of another type".into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        known(ty)
    }

    to_sql_checked!();
}

/// The value of a column, or a description of an unsupported one.
struct Cell<'r>(Result<Value<'r>, &'static str>);

impl<'r> FromSql<'r> for Cell<'r> {
    fn from_sql(ty: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match Class::of(ty) {
            Some(Class::Flag) => Ok(Value::Int(i64::from(bool::from_sql(ty, raw)?))),
            Some(Class::Int16) => Ok(Value::Int(i64::from(i16::from_sql(ty, raw)?))),
            Some(Class::Int32) => Ok(Value::Int(i64::from(i32::from_sql(ty, raw)?))),
            Some(Class::Int64) => Ok(Value::Int(i64::from_sql(ty, raw)?)),
            Some(Class::Text) => Ok(Value::Text(<&str>::from_sql(ty, raw)?)),
            Some(Class::Blob) => Ok(Value::Blob(raw)),
            None if *ty == Type::NUMERIC => Err("NUMERIC (cast it to BIGINT)"),
            None => Err("another type"),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Ok(Value::Null)))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Returns the value of a column, or a description of an unsupported one.
pub(crate) fn column(row: &postgres::Row, index: usize) -> Result<Value<'_>, &'static str> {
    if index >= row.len() {
        return Err("no such column");
    }
    row.try_get::<_, Cell<'_>>(index).map_err(|_| "bytes that cannot be read")?.0
}
