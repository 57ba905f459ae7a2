//! What is read of a request.

use crate::web::fields::FormFields;
use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode, Uri};

/// Returns the fields of the query.
pub(crate) fn query(uri: &Uri) -> FormFields {
    FormFields::parse(uri.query().unwrap_or_default().as_bytes())
}

/// Reads a form.
pub(crate) async fn read_form(
    headers: &HeaderMap,
    body: Body,
    most: usize,
) -> Result<FormFields, (StatusCode, &'static str)> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    if kind.trim() != "application/x-www-form-urlencoded" {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "not a form\n"));
    }
    let too_large = (
        StatusCode::PAYLOAD_TOO_LARGE,
        "the form is too large, or not whole\n",
    );
    let bytes = to_bytes(body, most).await.map_err(|_| too_large)?;
    Ok(FormFields::parse(&bytes))
}
