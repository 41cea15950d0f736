//! Serves one client on standard input and output. Only the protocol writes to standard output.

use std::collections::HashMap;

use rmcp::model::{ClientNotification, GetExtensions, JsonRpcMessage, RequestId};
use rmcp::service::{QuitReason, RxJsonRpcMessage, ServerInitializeError, TxJsonRpcMessage};
use rmcp::transport::{Transport, stdio_pipes};
use rmcp::{RoleServer, ServiceExt};

use super::delivery::Delivery;
use super::line_transport::LineTransport;
use super::server::Server;
use crate::exit::Failure;

/// Serves the client until it closes standard input.
pub(super) async fn serve(server: Server) -> Result<(), Failure> {
    let (reader, writer) = stdio_pipes();
    let transport = Tracking { inner: LineTransport::new(reader, writer), replies: HashMap::new() };
    let service = match server.serve(transport).await {
        Ok(service) => service,
        // The client disconnected without a request.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(connection_failure(error.to_string())),
    };
    match service.waiting().await {
        Ok(QuitReason::JoinError(error)) | Err(error) => Err(connection_failure(error.to_string())),
        Ok(_) => Ok(()),
    }
}

fn connection_failure(why: String) -> Failure {
    Failure::Refused { code: "mcp", message: format!("the MCP connection failed: {why}"), hint: None }
}

/// A transport that tracks whether each reply is written.
struct Tracking<T> {
    inner: T,
    replies: HashMap<RequestId, Delivery>,
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Tracking<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let delivery = match &item {
            JsonRpcMessage::Response(response) => self.replies.remove(&response.id),
            JsonRpcMessage::Error(error) => {
                error.id.as_ref().and_then(|id| self.replies.remove(id));
                None
            }
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        let sending = self.inner.send(item);
        async move {
            let sent = sending.await;
            match (&sent, delivery) {
                (Ok(()), Some(delivery)) => delivery.arrived().await,
                (Err(_), Some(delivery)) => delivery.failed(),
                (_, None) => {}
            }
            sent
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        let Some(mut message) = self.inner.receive().await else {
            // A client that closes standard input does not pass further replies to its agent.
            self.replies.drain().for_each(|(_, delivery)| delivery.failed());
            return None;
        };
        match &mut message {
            JsonRpcMessage::Request(request) => {
                let delivery = Delivery::default();
                self.replies.insert(request.id.clone(), delivery.clone());
                request.request.extensions_mut().insert(delivery);
            }
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                    && let Some(delivery) = self.replies.remove(id)
                {
                    delivery.failed();
                }
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
        }
        Some(message)
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}
