//! Features that this server does not offer, in the form that clients expect.

use http::Method;
use reeve_app::{Access, Answer, Call, MatrixError, Route, reply, shape};
use serde_json::json;

use crate::rooms::v3;
use crate::shapes;

pub(crate) fn routes() -> Vec<Route> {
    let bridged = "https://spec.matrix.org/v1.18/client-server-api/#third-party-networks";
    let empty_list = |id: &'static str, path: &str| {
        v3(Method::GET, path, |_call| async { reply::ok(&json!([])) })
            .access(Access::User)
            .id(id)
            .returns::<shapes::rooms::List>(200)
            .summary("Looks up locations or users on bridged networks: there are none")
            .spec(bridged)
    };
    vec![
        v3(Method::GET, "thirdparty/protocols", |_call| async { reply::empty() })
            .access(Access::User)
            .id("getProtocols")
            .returns::<shape::Empty>(200)
            .summary("Lists the bridged networks: none")
            .spec(bridged),
        v3(Method::GET, "thirdparty/protocol/{protocol}", no_protocol)
            .access(Access::User)
            .id("getProtocolMetadata")
            .summary("Returns a bridged network: there is none")
            .errors(&[(404, "M_NOT_FOUND", "always")])
            .spec(bridged),
        empty_list("queryUserByID", "thirdparty/user"),
        empty_list("queryUserByProtocol", "thirdparty/user/{protocol}"),
        empty_list("queryLocationByAlias", "thirdparty/location"),
        empty_list("queryLocationByProtocol", "thirdparty/location/{protocol}"),
    ]
}

async fn no_protocol(_call: Call) -> Answer {
    Err(MatrixError::not_found("Unknown protocol"))
}
