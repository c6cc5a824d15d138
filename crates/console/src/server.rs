//! The HTTP side: a small read-only dashboard and the JSON behind it.

use crate::error::Error;
use crate::state::state;
use crate::view::View;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// What the dashboard shows; the watcher of the topics writes it, requests read it.
pub type SharedView = Arc<Mutex<View>>;

/// Whether the process is ready, asked at each request.
pub type Ready = Arc<dyn Fn() -> bool + Send + Sync>;

/// Metrics in Prometheus' text format, asked for at each request.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

#[derive(Clone)]
struct App {
    view: SharedView,
    ready: Ready,
    metrics: Metrics,
    pipeline: Arc<str>,
}

/// No script, style or font from elsewhere, and nobody may frame the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'";

/// Binds and serves in the background of the current runtime; gives the bound address.
///
/// # Errors
/// [`Error::Listen`] if the address cannot be bound.
pub async fn serve(
    listen: &str,
    pipeline: &str,
    view: SharedView,
    ready: Ready,
    metrics: Metrics,
) -> Result<SocketAddr, Error> {
    let fault = |source| Error::Listen { address: listen.to_owned(), source };
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(fault)?;
    let address = listener.local_addr().map_err(fault)?;
    let app = App { view, ready, metrics, pipeline: Arc::from(pipeline) };
    let router = Router::new()
        .route("/", get(|| file("text/html; charset=utf-8", include_str!("page/index.html"))))
        .route("/page.js", get(|| file("text/javascript; charset=utf-8", include_str!("page/page.js"))))
        .route("/page.css", get(|| file("text/css; charset=utf-8", include_str!("page/page.css"))))
        .route("/api/v1/state", get(show))
        .route("/metrics", get(metrics_text))
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readiness))
        .with_state(app);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!("{}", Error::Serve(error));
        }
    });
    Ok(address)
}

async fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-cache")],
        text,
    )
}

async fn show(State(app): State<App>) -> impl IntoResponse {
    let body = {
        let view = app.view.lock().unwrap_or_else(PoisonError::into_inner);
        state(&view, &app.pipeline).to_string()
    };
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body)
}

async fn metrics_text(State(app): State<App>) -> impl IntoResponse {
    // Gathering asks the view, which its writer may hold for a moment.
    let text = tokio::task::spawn_blocking(move || (app.metrics)()).await;
    match text {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(_) => axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn readiness(State(app): State<App>) -> impl IntoResponse {
    if (app.ready)() {
        (axum::http::StatusCode::OK, "ready\n")
    } else {
        (axum::http::StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
