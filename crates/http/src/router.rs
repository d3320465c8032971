//! The router.
//!
//! The path is split on `/` first and each parameter decoded once, so that `%2F` is data; a parameter may be
//! empty; nothing is normalised, and an encoded letter in a fixed segment does not match. These rules are those
//! of the Synapse admin API, and stricter than those of general routers, which refuse empty segments and bad
//! UTF-8.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;
use percent_encoding::percent_decode_str;

use crate::head::Params;
use crate::route::Route;

/// The result of a lookup.
pub enum Found<S> {
    /// A route and the values of its parameters.
    Route(Arc<Route<S>>, Arc<str>, Params),
    /// Routes, but none with this method: the existing methods, as in the header `Allow`.
    MethodNotAllowed(String),
    /// Nothing.
    Nothing,
}

struct Node<S> {
    literals: HashMap<String, Node<S>>,
    parameter: Option<Box<Node<S>>>,
    /// The routes that end at this node.
    routes: Vec<End<S>>,
}

/// A route, at one of its paths.
struct End<S> {
    route: Arc<Route<S>>,
    /// The path.
    pattern: Arc<str>,
    /// The names of its parameters.
    names: Vec<String>,
}

impl<S> Default for Node<S> {
    fn default() -> Self {
        Self { literals: HashMap::new(), parameter: None, routes: Vec::new() }
    }
}

/// All routes, by path.
pub struct Router<S> {
    root: Node<S>,
}

impl<S> Router<S> {
    /// Builds the router. A literal segment wins over a parameter.
    pub fn new(routes: &[Arc<Route<S>>]) -> Self {
        let mut root = Node::default();
        for route in routes {
            for path in &route.paths {
                let mut node = &mut root;
                let mut names = Vec::new();
                for segment in path.split('/').skip(1) {
                    node = match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                        Some(name) => {
                            names.push(name.to_owned());
                            node.parameter.get_or_insert_default()
                        }
                        None => node.literals.entry(segment.to_owned()).or_default(),
                    };
                }
                let pattern = Arc::from(path.as_str());
                node.routes.push(End { route: Arc::clone(route), pattern, names });
            }
        }
        Self { root }
    }

    /// Finds the route of a request. The first path that matches decides, whatever its methods.
    pub fn find(&self, method: &Method, path: &str) -> Found<S> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let mut values = Vec::new();
        let Some(node) = descend(&self.root, &segments, &mut values) else { return Found::Nothing };
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        match node.routes.iter().find(|end| end.route.method == *wanted) {
            Some(End { route, pattern, names }) => {
                let decode = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
                let params = names.iter().cloned().zip(values.into_iter().map(decode)).collect();
                Found::Route(Arc::clone(route), Arc::clone(pattern), Params::new(params))
            }
            None => Found::MethodNotAllowed(allowed(node)),
        }
    }
}

/// Returns the methods of the routes that end at this node.
fn allowed<S>(node: &Node<S>) -> String {
    let mut methods: Vec<&str> = node.routes.iter().map(|end| end.route.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.sort_unstable();
    methods.join(", ")
}

fn descend<'a, 'p, S>(
    node: &'a Node<S>,
    segments: &[&'p str],
    values: &mut Vec<&'p str>,
) -> Option<&'a Node<S>> {
    let Some((segment, rest)) = segments.split_first() else {
        return if node.routes.is_empty() { None } else { Some(node) };
    };
    if let Some(next) = node.literals.get(*segment)
        && let Some(found) = descend(next, rest, values)
    {
        return Some(found);
    }
    let next = node.parameter.as_deref()?;
    values.push(segment);
    let found = descend(next, rest, values);
    if found.is_none() {
        values.pop();
    }
    found
}
