//! The schemas of resources.
//! <https://www.rfc-editor.org/rfc/rfc7643#section-8.7>

use serde_json::{Value, json};

use crate::attribute::{Attribute, Kind, Mutability, Returned};

pub(crate) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(crate) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The extension of users with what only Matrix has.
pub(crate) const MATRIX_USER: &str = "urn:reeve:params:scim:schemas:extension:matrix:2.0:User";
/// The extension of groups with what only Matrix has.
pub(crate) const MATRIX_GROUP: &str = "urn:reeve:params:scim:schemas:extension:matrix:2.0:Group";
/// The extension with data of employees, which is not kept.
pub(crate) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
pub(crate) const CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
pub(crate) const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
pub(crate) const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
pub(crate) const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
pub(crate) const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
pub(crate) const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
pub(crate) const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
pub(crate) const BULK_ANSWER: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// The type of e-mail addresses: no other is kept.
pub(crate) const EMAIL_TYPE: &str = "work";
/// The type of telephone numbers: no other is kept.
pub(crate) const PHONE_TYPE: &str = "mobile";
/// The types of telephone numbers that no person answers.
pub(crate) const OTHER_PHONES: &[&str] = &["fax", "pager"];

const fn text(name: &'static str, description: &'static str) -> Attribute {
    Attribute::text(name, description)
}

const fn flag(name: &'static str, description: &'static str) -> Attribute {
    Attribute::flag(name, description)
}

const fn complex(name: &'static str, keys: &'static [Attribute], description: &'static str) -> Attribute {
    Attribute::complex(name, keys, description)
}

const fn reference(
    name: &'static str,
    types: &'static [&'static str],
    description: &'static str,
) -> Attribute {
    Attribute::new(name, Kind::Reference(types), description).exact()
}

/// The attributes of every resource, which no schema lists.
pub(crate) const COMMON: &[Attribute] = &[
    text("schemas", "The schemas of the resource.").multi().exact().read_only().returned(Returned::Always),
    text("id", "The id of the resource.").exact().read_only().unique().returned(Returned::Always),
    text("externalId", "The id of the resource at the identity provider.").exact(),
    complex(
        "meta",
        &[
            text("resourceType", "The type of the resource.").exact().read_only(),
            Attribute::new("created", Kind::DateTime, "The time of its creation.").read_only(),
            Attribute::new("lastModified", Kind::DateTime, "The time of its last change.").read_only(),
            text("location", "Its URI.").exact().read_only(),
            text("version", "Its version, as in the header ETag.").exact().read_only(),
        ],
        "Facts about the resource.",
    )
    .read_only(),
];

pub(crate) const USER_ATTRIBUTES: &[Attribute] = &[
    text("userName", "The name of the account, from which its Matrix user id is made.")
        .required()
        .unique()
        .with(Mutability::Immutable),
    complex(
        "name",
        &[text("formatted", "The full name: the same as displayName.")],
        "The name of the person. Its parts are not kept.",
    ),
    text("displayName", "The display name of the account."),
    flag(
        "active",
        "True if the account can be used. A new account is active unless the request says otherwise.",
    )
    .required(),
    text("password", "The password of the account.")
        .exact()
        .with(Mutability::WriteOnly)
        .returned(Returned::Never),
    complex(
        "emails",
        &[text("value", "The address."), text("type", "Always 'work'.").usually(&[EMAIL_TYPE])],
        "The e-mail addresses of the account.",
    )
    .multi(),
    complex(
        "phoneNumbers",
        &[
            text("value", "The number, with country code, in digits."),
            text("type", "Always 'mobile'. Numbers of the types 'fax' and 'pager' are not kept.")
                .usually(&[PHONE_TYPE]),
        ],
        "The telephone numbers of the account.",
    )
    .multi(),
    complex(
        "groups",
        &[
            text("value", "The id of the group.").exact().read_only(),
            reference("$ref", &["Group"], "The URI of the group.").read_only(),
            text("display", "The name of the group.").read_only(),
            text("type", "Always 'direct'.").read_only().usually(&["direct"]),
        ],
        "The groups to which the account belongs.",
    )
    .multi()
    .read_only(),
    complex(
        "roles",
        &[text("value", "The name of the role.").exact().usually(&[
            "owner",
            "administrator",
            "moderator",
            "support",
            "auditor",
        ])],
        "The role of the account, which gives rights of administration: at most one.",
    )
    .multi(),
];

/// Facts that other attributes say, too, in words that not every client knows: they are returned on request.
const fn fact(attribute: Attribute) -> Attribute {
    attribute.read_only().returned(Returned::OnRequest)
}

pub(crate) const MATRIX_USER_ATTRIBUTES: &[Attribute] = &[
    fact(text("userId", "The Matrix user id: the same as 'id'.").exact().unique()),
    fact(flag("locked", "True if the account is locked.")),
    fact(flag("deactivated", "True if the account is deactivated.")),
    fact(flag("admin", "True if the account is an owner of the server: Synapse's flag 'admin'.")),
];

pub(crate) const GROUP_ATTRIBUTES: &[Attribute] = &[
    text("displayName", "The name of the group: that of the room or role.").required(),
    complex(
        "members",
        &[
            text("value", "The id of the member.").exact().with(Mutability::Immutable),
            reference("$ref", &["User"], "The URI of the member.").with(Mutability::Immutable),
            text("type", "Always 'User'.").with(Mutability::Immutable).usually(&["User"]),
        ],
        "The accounts that hold the role or have joined the room.",
    )
    .multi(),
];

pub(crate) const MATRIX_GROUP_ATTRIBUTES: &[Attribute] =
    &[fact(text("kind", "The kind of the group.").exact().usually(&["role", "space", "room"]))];

/// Attributes of users that RFC 7643 defines and that are not kept. Requests may have them.
pub(crate) const NOT_KEPT: &[&str] = &[
    "nickName",
    "profileUrl",
    "title",
    "userType",
    "preferredLanguage",
    "locale",
    "timezone",
    "ims",
    "photos",
    "addresses",
    "entitlements",
    "x509Certificates",
];
/// Keys of values that RFC 7643 defines and that are not kept.
pub(crate) const KEYS_NOT_KEPT: &[(&str, &[&str])] = &[
    ("name", &["familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix"]),
    ("emails", &["display", "primary"]),
    ("phoneNumbers", &["display", "primary"]),
    ("roles", &["display", "type", "primary"]),
    ("members", &["display"]),
];

const SUPPORTED: Attribute = flag("supported", "True if it is supported.").read_only().required();
const URI: &[&str] = &["external"];

const CONFIG_ATTRIBUTES: &[Attribute] = &[
    reference("documentationUri", URI, "The documentation of the service.").read_only(),
    complex("patch", &[SUPPORTED], "PATCH.").read_only().required(),
    complex(
        "bulk",
        &[
            SUPPORTED,
            Attribute::new("maxOperations", Kind::Integer, "The maximum number of operations.")
                .read_only()
                .required(),
            Attribute::new("maxPayloadSize", Kind::Integer, "The maximum size of a request, in bytes.")
                .read_only()
                .required(),
        ],
        "Several operations in one request.",
    )
    .read_only()
    .required(),
    complex(
        "filter",
        &[
            SUPPORTED,
            Attribute::new("maxResults", Kind::Integer, "The maximum number of resources in a page.")
                .read_only()
                .required(),
        ],
        "Filters.",
    )
    .read_only()
    .required(),
    complex("changePassword", &[SUPPORTED], "Changes of passwords.").read_only().required(),
    complex("sort", &[SUPPORTED], "Sorting.").read_only().required(),
    complex("etag", &[SUPPORTED], "Versions of resources.").read_only().required(),
    complex(
        "authenticationSchemes",
        &[
            text("type", "The scheme.").read_only().required().usually(&["oauthbearertoken"]),
            text("name", "Its name.").read_only().required(),
            text("description", "Its description.").read_only().required(),
            reference("specUri", URI, "Its specification.").read_only(),
            reference("documentationUri", URI, "Its documentation.").read_only(),
            flag("primary", "True for the preferred one.").read_only(),
        ],
        "The ways of authentication.",
    )
    .multi()
    .read_only()
    .required(),
];

const RESOURCE_TYPE_ATTRIBUTES: &[Attribute] = &[
    text("name", "The name of the type.").exact().read_only().required(),
    text("description", "Its description.").read_only(),
    reference("endpoint", &["uri"], "The path of its resources.").read_only().required(),
    reference("schema", &["uri"], "The URN of its schema.").read_only().required(),
    complex(
        "schemaExtensions",
        &[
            reference("schema", &["uri"], "The URN of the extension.").read_only().required(),
            flag("required", "True if every resource has it.").read_only().required(),
        ],
        "Its extensions.",
    )
    .multi()
    .read_only(),
];

/// The keys of a definition of an attribute.
const DEFINITION: &[Attribute] = &[
    text("name", "The name of the attribute.").exact().read_only().required(),
    text("type", "The type of its values.").read_only().required().usually(&[
        "string",
        "complex",
        "boolean",
        "decimal",
        "integer",
        "dateTime",
        "reference",
        "binary",
    ]),
    flag("multiValued", "True if it has several values.").read_only().required(),
    text("description", "Its description.").read_only(),
    flag("required", "True if it is required.").read_only(),
    text("canonicalValues", "Its usual values.").multi().exact().read_only(),
    flag("caseExact", "True if letters in another case make another value.").read_only(),
    text("mutability", "The way in which it can be changed.").exact().read_only().usually(&[
        "readOnly",
        "readWrite",
        "immutable",
        "writeOnly",
    ]),
    text("returned", "The responses that have it.")
        .exact()
        .read_only()
        .usually(&["always", "never", "default", "request"]),
    text("uniqueness", "The place where its values are unique.")
        .exact()
        .read_only()
        .usually(&["none", "server", "global"]),
    text("referenceTypes", "The types of resources to which it refers.").multi().exact().read_only(),
];

const SCHEMA_ATTRIBUTES: &[Attribute] = &[
    text("name", "The name of the schema.").exact().read_only().required(),
    text("description", "Its description.").read_only(),
    complex("attributes", DEFINITION, "Its attributes. Those of complex ones are in 'subAttributes'.")
        .multi()
        .read_only()
        .required(),
];

/// A schema.
pub(crate) struct Schema {
    pub(crate) id: &'static str,
    name: &'static str,
    description: &'static str,
    attributes: &'static [Attribute],
}

/// All schemas.
pub(crate) const ALL: &[Schema] = &[
    Schema { id: USER, name: "User", description: "An account", attributes: USER_ATTRIBUTES },
    Schema {
        id: MATRIX_USER,
        name: "MatrixUser",
        description: "The Matrix side of an account",
        attributes: MATRIX_USER_ATTRIBUTES,
    },
    Schema {
        id: GROUP,
        name: "Group",
        description: "A role, a space or a room",
        attributes: GROUP_ATTRIBUTES,
    },
    Schema {
        id: MATRIX_GROUP,
        name: "MatrixGroup",
        description: "The Matrix side of a group",
        attributes: MATRIX_GROUP_ATTRIBUTES,
    },
    Schema {
        id: CONFIG,
        name: "ServiceProviderConfig",
        description: "The features of the service",
        attributes: CONFIG_ATTRIBUTES,
    },
    Schema {
        id: RESOURCE_TYPE,
        name: "ResourceType",
        description: "A type of resources",
        attributes: RESOURCE_TYPE_ATTRIBUTES,
    },
    Schema { id: SCHEMA, name: "Schema", description: "A schema", attributes: SCHEMA_ATTRIBUTES },
];

impl Schema {
    /// Returns the schema as a resource at this URI.
    pub(crate) fn resource(&self, location: &str) -> Value {
        let attributes: Vec<Value> = self.attributes.iter().map(Attribute::definition).collect();
        json!({
            "schemas": [SCHEMA],
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "attributes": attributes,
            "meta": { "resourceType": "Schema", "location": location },
        })
    }
}
