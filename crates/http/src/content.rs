//! The contents of bodies, as routes declare them.

use utoipa::openapi::{RefOr, schema::Schema};

use crate::body::Body;

/// The contents of a body.
#[derive(Clone)]
pub enum Content {
    /// JSON: the name of its schema, and the schema.
    Json(String, Box<RefOr<Schema>>),
    /// A form: the name of the schema of its fields, and the schema.
    Form(String, Box<RefOr<Schema>>),
    /// Text of this media type.
    Text(&'static str),
    /// Bytes of any media type.
    Bytes,
    /// Nothing.
    Nothing,
}

/// A request body.
#[derive(Clone)]
pub struct Request {
    /// Its contents.
    pub content: Content,
    /// True if an empty body is refused.
    pub required: bool,
}

impl Request {
    /// Returns true if it is this body.
    pub(crate) fn is<T: Body>(&self) -> bool {
        matches!(&self.content, Content::Json(name, _) | Content::Form(name, _) if *name == T::name())
    }

    /// Returns true if a request without a body is refused: an empty body lacks every required key.
    pub(crate) fn is_needed(&self) -> bool {
        self.required || self.has_required_keys()
    }

    /// Returns true if its schema has required keys.
    pub(crate) fn has_required_keys(&self) -> bool {
        matches!(
            &self.content,
            Content::Json(_, schema) | Content::Form(_, schema) if serde_json::json!(schema).get("required").is_some()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Route;
    use crate::shape::AnyObject;
    use crate::{Access, reply};

    crate::body! {
        struct Needed {
            key: String,
        }
    }

    /// Returns the body that a route declares.
    fn declared(route: Route<()>) -> std::sync::Arc<Request> {
        route.doc.request.unwrap()
    }

    fn route() -> Route<()> {
        Route::post("/", async |_| reply::empty()).access(Access::Anybody)
    }

    #[test]
    fn a_route_declares_one_body() {
        let request = declared(route().takes::<Needed>());
        assert!(request.is::<Needed>());
        assert!(!request.is::<AnyObject>());
        let key = Needed::of(crate::json::Object::new()).key;
        assert_eq!(key.missing(), Some("key"));
    }

    #[test]
    fn a_body_with_required_keys_is_needed_even_if_it_can_be_empty() {
        assert!(declared(route().takes::<AnyObject>()).is_needed());
        assert!(!declared(route().may_take::<AnyObject>()).is_needed());
        assert!(declared(route().may_take::<Needed>()).is_needed());
    }
}
