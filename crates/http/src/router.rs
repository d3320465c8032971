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
pub enum Found {
    /// A route and the values of its parameters.
    Route(Arc<Route>, Arc<str>, Params),
    /// Routes, but none with this method: the existing methods, as in the header `Allow`.
    MethodNotAllowed(String),
    /// Nothing.
    Nothing,
}

#[derive(Default)]
struct Node {
    literals: HashMap<String, Node>,
    parameter: Option<Box<Node>>,
    /// The routes that end at this node, each with its pattern and the names of its parameters.
    routes: Vec<(Arc<Route>, Arc<str>, Vec<String>)>,
}

/// All routes, by path.
#[derive(Default)]
pub struct Router {
    root: Node,
}

impl Router {
    /// Builds the router. A literal segment wins over a parameter.
    pub fn new(routes: &[Arc<Route>]) -> Self {
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
                node.routes.push((Arc::clone(route), Arc::from(path.as_str()), names));
            }
        }
        Self { root }
    }

    /// Finds the route of a request. The first path that matches decides, whatever its methods.
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let mut values = Vec::new();
        let Some(node) = descend(&self.root, &segments, &mut values) else { return Found::Nothing };
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        match node.routes.iter().find(|(route, ..)| route.method == *wanted) {
            Some((route, pattern, names)) => {
                let decode = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
                let params = names.iter().cloned().zip(values.into_iter().map(decode)).collect();
                Found::Route(Arc::clone(route), Arc::clone(pattern), Params::new(params))
            }
            None => Found::MethodNotAllowed(allowed(node)),
        }
    }
}

/// The methods of the routes that end at this node.
fn allowed(node: &Node) -> String {
    let mut methods: Vec<&str> = node.routes.iter().map(|(route, ..)| route.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.sort_unstable();
    methods.join(", ")
}

fn descend<'a, 'p>(node: &'a Node, segments: &[&'p str], values: &mut Vec<&'p str>) -> Option<&'a Node> {
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
