//! Queries: filter, order, page and attributes, from the query string or from the body of a search.
//! <https://www.rfc-editor.org/rfc/rfc7644#section-3.4.2>

use http::StatusCode;
use reeve_app::json::Object;
use reeve_app::query::Query as Parameters;
use reeve_app::{Answer, MatrixError, Param};
use serde_json::{Value, json};

use crate::error::invalid_value;
use crate::filter::{self, Filter};
use crate::place::{Name, Place, Resource};
use crate::schema::{LIST, SEARCH};
use crate::shown::Shown;
use crate::{read, reply};

/// The maximum number of resources in a page.
pub(crate) const MAX_COUNT: i64 = 200;
/// The number of resources in a page, if the request does not say.
const COUNT: i64 = 100;

/// A query for resources of a type.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) filter: Option<Filter>,
    /// The attribute by which resources are sorted, with a key of its values.
    pub(crate) sort_by: Option<Name>,
    pub(crate) descending: bool,
    /// The number of resources before the page.
    pub(crate) offset: i64,
    /// The maximum number of resources in the page.
    pub(crate) count: i64,
    pub(crate) shown: Shown,
}

/// A page of the resources of a type that a query selects.
pub(crate) struct Page {
    /// The number of all that it selects.
    pub(crate) total: i64,
    /// The resources in the page, with all attributes that may be shown.
    pub(crate) resources: Vec<Object>,
}

/// Parts of a query that are not attributes, as written.
struct Written {
    filter: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    start: Option<i64>,
    count: Option<i64>,
}

impl Query {
    pub(crate) fn params() -> impl Iterator<Item = Param> {
        [
            Param::text("filter", "the filter, in the grammar of RFC 7644"),
            Param::text("sortBy", "the attribute to sort by"),
            Param::text("sortOrder", "`ascending`, the default, or `descending`"),
            Param::text("startIndex", "the place of the first resource, from 1"),
            Param::text("count", "the maximum number of resources; 100 by default, at most 200"),
            Param::text("aadOptscim062020", "a flag in addresses that Entra ID is given; without effect"),
        ]
        .into_iter()
        .chain(Shown::params())
    }

    /// Reads the query string. Unknown parameters are refused, since without a misspelt filter the response would have everything.
    pub(crate) fn of_parameters(resource: Resource, query: &Parameters) -> Result<Self, MatrixError> {
        query.only_declared()?;
        let number = |name: &str| -> Result<Option<i64>, MatrixError> {
            let parse = |text: String| text.trim().parse().map_err(|_| not_a_number(name));
            query.utf8(name)?.map(parse).transpose()
        };
        let written = Written {
            filter: query.utf8("filter")?,
            sort_by: query.utf8("sortBy")?,
            sort_order: query.utf8("sortOrder")?,
            start: number("startIndex")?,
            count: number("count")?,
        };
        Self::of(resource, written, Shown::of_query(resource, query)?)
    }

    /// Reads the body of a search.
    pub(crate) fn of_body(resource: Resource, body: &Object) -> Result<Self, MatrixError> {
        read::check_schema(body, SEARCH)?;
        let number = |name: &str| match read::get(body, name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| not_a_number(name)),
        };
        let written = Written {
            filter: read::text(body, "filter")?,
            sort_by: read::text(body, "sortBy")?,
            sort_order: read::text(body, "sortOrder")?,
            start: number("startIndex")?,
            count: number("count")?,
        };
        Self::of(resource, written, Shown::of_body(resource, body)?)
    }

    fn of(resource: Resource, written: Written, shown: Shown) -> Result<Self, MatrixError> {
        let sort_by = match written.sort_by.filter(|name| !name.is_empty()) {
            None => None,
            Some(name) => match Place::parse(resource, &name) {
                Some(Place::Kept { extension: None, attribute, key }) => {
                    Some((attribute.name, key.map(|key| key.name)))
                }
                Some(Place::Kept { .. } | Place::Extension(_) | Place::NotKept) | None => {
                    return Err(invalid_value(format!("'sortBy' cannot be '{name}'")));
                }
            },
        };
        let descending = match written.sort_order.as_deref() {
            None | Some("ascending" | "") => false,
            Some("descending") => true,
            Some(_) => return Err(invalid_value("'sortOrder' must be ascending or descending")),
        };
        let filter = written.filter.map(|text| filter::parse(resource, &text)).transpose()?;
        Ok(Self {
            filter,
            sort_by,
            descending,
            offset: written.start.unwrap_or(1).saturating_sub(1).max(0),
            count: written.count.unwrap_or(COUNT).clamp(0, MAX_COUNT),
            shown,
        })
    }

    /// Returns the part of a list that is the page.
    pub(crate) fn cut<T>(&self, all: Vec<T>) -> Vec<T> {
        let size = |number: i64| usize::try_from(number).unwrap_or_default();
        all.into_iter().skip(size(self.offset)).take(size(self.count)).collect()
    }

    /// Returns the response with a page of resources of a type.
    pub(crate) fn answer(&self, resource: Resource, page: Page) -> Answer {
        answer(self.offset, page.total, self.shown_of(resource, page.resources))
    }

    /// Returns resources as they are shown.
    pub(crate) fn shown_of(&self, resource: Resource, resources: Vec<Object>) -> Vec<Object> {
        resources.into_iter().map(|object| self.shown.of_resource(resource, object)).collect()
    }
}

/// Returns the response with some of `total` resources, as they are shown, behind `offset` others.
pub(crate) fn answer(offset: i64, total: i64, shown: Vec<Object>) -> Answer {
    let list = json!({
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": offset.saturating_add(1),
        "itemsPerPage": shown.len(),
        "Resources": shown,
    });
    reply::json_of(StatusCode::OK, &list)
}

fn not_a_number(name: &str) -> MatrixError {
    invalid_value(format!("'{name}' must be an integer"))
}
