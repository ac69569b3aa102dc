//! The network front: a WebSocket listener and a JSON-RPC one, on loopback.
//!
//! Owns: frames, HTTP statuses, the order of messages on a socket, the clock that closes ledgers. May not: know what a
//! command means. One request of a socket is answered before the next is looked at, as recorded.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};

use super::StoreError;
use super::conduct::Agreement;
use super::faults::DialHow;
use super::hub::SocketId;
use super::lies;
use super::line::{Line, Out, PROXY_PAGE};
use super::network::Network;
use super::node::Node;
use super::rpc::{Answer, Call, Role, RpcError, api_version, dispatch, parse_submit};
use super::script;
use super::shapes::object;
use super::types::Millis;
use super::world::Release;

/// The node as all tasks share it.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Node>>);

impl Shared {
    /// Shares a node.
    pub(super) fn new(node: Node) -> Self {
        Self(Arc::new(Mutex::new(node)))
    }

    /// The node, for a moment.
    pub(super) fn lock(&self) -> MutexGuard<'_, Node> {
        self.0
            .lock()
            .expect("no command of the simulated server panicked")
    }

    /// The node, of which nobody else has a share.
    pub(super) fn into_node(self) -> Node {
        let alone = Arc::try_unwrap(self.0).ok();
        let node = alone.expect("a server that was just made is not shared");
        node.into_inner()
            .expect("no command of the simulated server panicked")
    }
}

/// One server as its sockets see it.
#[derive(Clone)]
pub(super) struct Front {
    /// The server.
    pub node: Shared,
    /// The network that it is one of. Whoever has it locked may lock servers; never the other way round.
    pub network: Option<Arc<Mutex<Network>>>,
}

impl Front {
    /// Another server of the network.
    fn elsewhere(self, number: usize) -> Self {
        let Some(network) = &self.network else {
            return self;
        };
        let network = network.lock();
        let network = network.expect("nothing that happens to a network panics");
        let node = match number {
            0 => self.node.clone(),
            number if number <= network.len() => network.server(number).shared(),
            _ => self.node.clone(),
        };
        drop(network);
        Self { node, ..self }
    }

    /// Closes the open ledger, of all servers if there are several.
    pub(super) fn close_ledger(&self) -> Result<(), StoreError> {
        match &self.network {
            None => self.node.lock().close(now()),
            Some(network) => {
                let mut network = network
                    .lock()
                    .expect("nothing that happens to a network panics");
                network.agree(Agreement::default(), now())
            }
        }
    }

    /// Ends it: no ledger closes any more.
    pub(super) fn stop(&self) {
        if let Some(network) = &self.network {
            let network = network.lock();
            network
                .expect("nothing that happens to a network panics")
                .stop();
        }
        self.node.lock().stop();
    }

    /// What the server left for its network while it answered is done before the answer goes out.
    async fn settle(&self) {
        let Some(network) = self.network.clone() else {
            return;
        };
        let is_settled = {
            let node = self.node.lock();
            node.outbox.is_empty() && node.orders.is_empty()
        };
        if is_settled {
            return;
        }
        // A ledger may be synced to a file: not on a thread that answers requests.
        let settled = tokio::task::spawn_blocking(move || settle(&network, now())).await;
        settled
            .expect("closing a ledger does not panic")
            .expect("the state directory takes the closed ledger");
    }
}

fn settle(network: &Mutex<Network>, now: Millis) -> Result<(), StoreError> {
    let mut network = network
        .lock()
        .expect("nothing that happens to a network panics");
    network.settle(now)
}

/// The time, read here and nowhere else in the simulation.
pub(super) fn now() -> Millis {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Binds a loopback port; 0 takes any.
pub(super) async fn bind(port: u16) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Closes a ledger every so often: the server's, or that of its network.
pub(super) async fn close_ledgers(front: Front, every: Duration) {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let front = front.clone();
        // Closing syncs a file: not on a thread that answers requests.
        let closed = tokio::task::spawn_blocking(move || front.close_ledger()).await;
        closed
            .expect("closing a ledger does not panic")
            .expect("the state directory takes the closed ledger");
    }
}

/// Serves WebSocket clients.
pub(super) async fn serve_websockets(listener: TcpListener, front: Front) {
    let mut sockets = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // Whoever knocks at a server that is gone finds nobody.
                if let Ok((stream, _)) = accepted && !front.node.lock().is_gone {
                    sockets.spawn(serve_socket(stream, front.clone()));
                }
            }
            Some(_) = sockets.join_next() => {}
        }
    }
}

async fn serve_socket(stream: TcpStream, front: Front) {
    let _ = stream.set_nodelay(true);
    let dialled = front.node.lock().tampering.dial();
    let front = match dialled {
        None => front,
        Some(DialHow::Refuse) => return,
        Some(DialHow::Page) => return show_page(stream).await,
        Some(DialHow::Elsewhere(number)) => front.elsewhere(number),
    };
    let Ok(socket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    let (id, pushed) = front.node.lock().hub.connect();
    let line = Line::new(id, Role::Public, pushed);
    // An error here is the client's going away.
    let _ = converse(socket, &front, line).await;
    front.node.lock().hub.disconnect(id);
}

/// A proxy says that nobody is behind it.
async fn show_page(mut stream: TcpStream) {
    let length = PROXY_PAGE.len();
    let text = format!(
        "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{PROXY_PAGE}"
    );
    // Who does not wait for it need not have it. The request is read first: closing with it unread would take the answer along.
    let mut request = [0; 2048];
    let _ = stream.read(&mut request).await;
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn converse(
    mut socket: WebSocketStream<TcpStream>,
    front: &Front,
    mut line: Line,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    loop {
        let outs = line.poll(&front.node, now());
        front.settle().await;
        for out in outs {
            match out {
                Out::Text(text) => socket.feed(Message::text(text)).await?,
                Out::Bytes(bytes) => socket.feed(Message::binary(bytes)).await?,
                Out::Part(text) => {
                    let part = Frame::message(text, OpCode::Data(Data::Text), false);
                    socket.feed(Message::Frame(part)).await?;
                }
                Out::Cut => return socket.flush().await,
                Out::Close(code, reason) => {
                    let code = CloseCode::from(code);
                    let reason = reason.into();
                    return socket.close(Some(CloseFrame { code, reason })).await;
                }
            }
        }
        socket.flush().await?;
        let due = line.due();
        tokio::select! {
            biased;
            () = line.wait() => {}
            frame = socket.next() => match frame {
                None => return Ok(()),
                Some(Err(error)) => return Err(error),
                Some(Ok(Message::Text(text))) => line.request(&front.node, text.as_str(), now()),
                Some(Ok(Message::Binary(bytes))) => {
                    line.request(&front.node, &String::from_utf8_lossy(&bytes), now());
                }
                Some(Ok(_)) => {}
            },
            () = until(due) => {}
        }
    }
}

/// Until this moment; None: for ever.
async fn until(due: Option<Millis>) {
    match due {
        Some(due) => {
            let left = due.0.saturating_sub(now().0);
            tokio::time::sleep(Duration::from_millis(left)).await;
        }
        None => std::future::pending().await,
    }
}

/// The answer to a WebSocket message; None if a test's script swallows it.
pub(super) fn answer_text(
    node: &Shared,
    (socket, role): (SocketId, Role),
    text: &str,
    now: Millis,
) -> Option<Map<String, Value>> {
    let Ok(Value::Object(request)) = serde_json::from_str(text) else {
        return Some(object(
            json!({ "error": "jsonInvalid", "type": "error", "value": text }),
        ));
    };
    let command = match (request.get("command"), request.get("method")) {
        (Some(Value::String(command)), None) | (None, Some(Value::String(command))) => {
            Some(command.as_str())
        }
        (Some(Value::String(command)), Some(Value::String(method))) if command == method => {
            Some(command.as_str())
        }
        _ => None,
    };
    let mut warned = false;
    let answer = match (command, api_version(&request)) {
        (None, _) => Err(RpcError::bare("missingCommand")),
        (Some(_), None) => Err(RpcError::bare("invalid_API_version")),
        (Some(command), Some(api)) => {
            let parsed = parse_submit(command, &request, |hash| node.lock().cached(&hash).cloned());
            let call = Call {
                params: &request,
                api,
                role,
                socket: Some(socket),
                parsed,
                now,
            };
            let mut node = node.lock();
            let answer = run(&mut node, command, &call)?;
            warned = warns(&mut node, command, &call);
            answer
        }
    };
    let mut frame = websocket_frame(&request, answer);
    if warned {
        frame.insert("warning".into(), json!("load"));
    }
    Some(frame)
}

/// True if this client has asked for too much.
pub(super) fn is_over(node: &mut Node, role: Role, now: Millis) -> bool {
    let load = node.load.as_mut().filter(|_| role == Role::Public);
    load.is_some_and(|load| load.is_over(now))
}

/// True if the answer to this client is to carry a warning.
fn warns(node: &mut Node, command: &str, call: &Call<'_>) -> bool {
    let load = node.load.as_mut().filter(|_| call.role == Role::Public);
    load.is_some_and(|load| load.charge(command, call.now))
}

/// Runs a command unless the script loses the request, and loses the answer if the script says so.
fn run(node: &mut Node, command: &str, call: &Call<'_>) -> Option<Answer> {
    if let Some(scripted) = script::intercept(node, command, call) {
        return scripted;
    }
    if command == "submit"
        && let Some(left) = node.script.drop_submit_requests.checked_sub(1)
    {
        node.script.drop_submit_requests = left;
        return None;
    }
    let mut answer = dispatch(node, command, call);
    if call.role == Role::Public {
        lies::distort(node, command, call.params, &mut answer);
    }
    if command == "submit"
        && let Some(left) = node.script.drop_submit_answers.checked_sub(1)
    {
        node.script.drop_submit_answers = left;
        return None;
    }
    Some(answer)
}

fn websocket_frame(request: &Map<String, Value>, answer: Answer) -> Map<String, Value> {
    let mut frame = match answer {
        Ok(result) => object(json!({ "result": result, "status": "success" })),
        Err(error) => {
            let mut frame = error.fields;
            frame.insert("request".into(), json!(request));
            frame.insert("status".into(), json!("error"));
            frame
        }
    };
    frame.insert("type".into(), json!("response"));
    for name in ["id", "api_version"] {
        if let Some(value) = request.get(name) {
            frame.insert(name.into(), value.clone());
        }
    }
    frame
}

/// Serves JSON-RPC clients.
pub(super) async fn serve_rpc(listener: TcpListener, front: Front) {
    let app = Router::new().route("/", any(rpc)).with_state(front);
    let served = axum::serve(listener, app).await;
    served.expect("the JSON-RPC listener stays open");
}

async fn rpc(State(front): State<Front>, body: String) -> Response {
    let node = front.node.clone();
    // A command may sync a file or decode a blob: not on a thread that serves other clients.
    let answered =
        tokio::task::spawn_blocking(move || rpc_body(&node, Role::Admin, &body, now())).await;
    let (status, text) = answered.expect("answering a request does not panic");
    front.settle().await;
    (
        status,
        [(header::CONTENT_TYPE, "application/json; charset=UTF-8")],
        text,
    )
        .into_response()
}

/// Status and body of the answer to a JSON-RPC request.
pub(super) fn rpc_body(node: &Shared, role: Role, body: &str, now: Millis) -> (StatusCode, String) {
    let refuse = |text: &str| (StatusCode::BAD_REQUEST, text.to_owned());
    let unparsable = || match node.lock().world.release {
        Release::V2_3 => refuse("params unparseable"),
        Release::V3_3 => refuse("params unparsable"),
    };
    // What follows the first value is not looked at.
    let first = serde_json::Deserializer::from_str(body).into_iter().next();
    let request = match first {
        Some(Ok(Value::Object(request))) if !request.is_empty() => request,
        Some(Ok(Value::Object(_) | Value::Null | Value::Array(_))) => {
            return refuse("Unable to parse request:");
        }
        Some(Ok(_)) => {
            return refuse(
                "Unable to parse request: * Line 1, Column 1\n  A valid JSON document must be either an array or an object value.",
            );
        }
        Some(Err(_)) if body.trim() == "{" => {
            return refuse(
                "Unable to parse request: * Line 1, Column 2\n  Missing '}' or object member name",
            );
        }
        None | Some(Err(_)) => {
            return refuse(
                "Unable to parse request: * Line 1, Column 1\n  Syntax error: value, object or array expected.",
            );
        }
    };
    let command = match request.get("method") {
        None | Some(Value::Null) => return refuse("Null method"),
        Some(Value::String(method)) if method.is_empty() => return refuse("method is empty"),
        Some(Value::String(method)) => method,
        Some(_) => return refuse("method is not string"),
    };
    let params = match request.get("params") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Array(list)) if list.is_empty() => Map::new(),
        Some(Value::Object(params)) if params.is_empty() => Map::new(),
        Some(Value::Array(list)) => match list.as_slice() {
            [Value::Object(params)] => params.clone(),
            _ => return unparsable(),
        },
        Some(_) => return unparsable(),
    };
    let Some(api) = api_version(&params) else {
        return refuse("invalid_API_version");
    };
    if role == Role::Public && command == "ledger_accept" {
        return (StatusCode::FORBIDDEN, "Forbidden".to_owned());
    }
    let parsed = parse_submit(command, &params, |hash| node.lock().cached(&hash).cloned());
    let call = Call {
        params: &params,
        api,
        role,
        socket: None,
        parsed,
        now,
    };
    let overloaded = || {
        let text = "Server is overloaded\r\n".to_owned();
        (StatusCode::SERVICE_UNAVAILABLE, text)
    };
    let mut node = node.lock();
    if is_over(&mut node, role, now) {
        return overloaded();
    }
    let Some(answer) = run(&mut node, command, &call) else {
        return overloaded();
    };
    let mut result = rpc_result(command, &params, answer);
    if warns(&mut node, command, &call) {
        result.insert("warning".into(), json!("load"));
    }
    (StatusCode::OK, json!({ "result": result }).to_string())
}

fn rpc_result(command: &str, params: &Map<String, Value>, answer: Answer) -> Map<String, Value> {
    match answer {
        Ok(mut result) => {
            result.insert("status".into(), json!("success"));
            result
        }
        Err(error) => {
            let mut result = error.fields;
            let mut request = params.clone();
            if let Some(secret) = request.get_mut("secret") {
                *secret = json!("<masked>");
            }
            request.insert("command".into(), json!(command));
            result.insert("request".into(), Value::Object(request));
            result.insert("status".into(), json!("error"));
            result
        }
    }
}
