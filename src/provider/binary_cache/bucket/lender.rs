//! Questions to the services that hand out credentials: of the machine, of the container, of a cloud.
//!
//! They are near or not there at all, so the limits are short; and nothing that they answer says
//! anything about the storage.

use std::time::Duration;

use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService as _};

/// Time for a connection.
pub(super) const CONNECT: Duration = Duration::from_secs(2);

/// Time for a whole answer.
const WHOLE: Duration = Duration::from_secs(5);

/// How often such a service is asked at most.
const TRIES: usize = 2;

/// Such a service gives nothing.
#[derive(Debug, thiserror::Error)]
#[error("the service that hands out credentials {0}")]
pub(super) struct Unlent(String);

/// Asks for credentials.
pub(super) async fn ask(
    client: &reqwest::Client,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let mut why = String::new();
    for _ in 0..TRIES {
        match tokio::time::timeout(WHOLE, whole(client, request.clone())).await {
            Ok(Ok(answer)) if answer.status().is_success() => return Ok(answer),
            Ok(Ok(answer)) => {
                why = format!("answered {}", answer.status().as_u16());
                if !answer.status().is_server_error() {
                    break;
                }
            }
            Ok(Err(_)) => "cannot be reached".clone_into(&mut why),
            Err(_) => "does not answer".clone_into(&mut why),
        }
    }
    Err(HttpError::new(HttpErrorKind::Unknown, Unlent(why)))
}

async fn whole(client: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let (parts, body) = client.call(request).await?.into_parts();
    let body = body.bytes().await?;
    Ok(HttpResponse::from_parts(parts, body.into()))
}
