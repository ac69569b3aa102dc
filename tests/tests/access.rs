//! Who may call what: every method that the gateway tells of, tried by everybody who may not and by one who may. And that all
//! credentials can be exchanged while calls go on.
//!
//! Costs about ten seconds, most of it for making certificates in a debug build.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]
#![allow(clippy::print_stdout, reason = "the matrix is the result")]

#[path = "access/rotation.rs"]
mod rotation;

use std::collections::BTreeMap;
use std::process::Command;

use paygate::api::access::{Rule, rule};
use paygate::config::Scope;
use paygate_client::Identity;
use paygate_tests::world::binaries;
use paygate_tests::world::guarded::{Guard, Guarded};
use paygate_tests::world::pki::Subject;
use prost::Message as _;
use prost_types::FileDescriptorProto;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{FileDescriptorResponse, ServerReflectionRequest};
use tonic_types::StatusExt as _;

const CLIENTS: &str = r#"
[[clients]]
client_id = "all"
credentials = ["uri:spiffe://test/all"]
scopes = ["pay", "read", "approve", "operate"]

[[clients]]
client_id = "far"
credentials = ["cn:far"]
scopes = ["pay", "read", "approve", "operate"]
allowed_ips = ["10.0.0.0/8", "fd00::/8"]

[[clients]]
client_id = "only-pay"
credentials = ["dns:pay.test"]
scopes = ["pay"]

[[clients]]
client_id = "only-read"
credentials = ["dns:read.test"]
scopes = ["read"]

[[clients]]
client_id = "only-approve"
credentials = ["dns:approve.test"]
scopes = ["approve"]

[[clients]]
client_id = "only-operate"
credentials = ["dns:operate.test"]
scopes = ["operate"]
"#;

/// A caller: a connection, and headers that go with each call.
#[derive(Clone)]
struct Caller {
    channel: Channel,
    headers: Vec<(&'static str, String)>,
}

impl Caller {
    fn new(gateway: &Guarded, identity: &Identity) -> Caller {
        Caller {
            channel: gateway.client(identity).channel(),
            headers: Vec::new(),
        }
    }

    fn with(&self, name: &'static str, value: impl Into<String>) -> Caller {
        let mut other = self.clone();
        other.headers.push((name, value.into()));
        other
    }

    /// Calls a method with an empty message. `None`: it was let in, whatever it then said.
    async fn tries(&self, path: &str) -> Option<String> {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        if let Err(error) = grpc.ready().await {
            return Some(format!("no connection: {error}"));
        }
        let mut request = Request::new(());
        for (name, value) in &self.headers {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        let path: PathAndQuery = path.parse().unwrap();
        let codec = ProstCodec::<(), ()>::default();
        match grpc.server_streaming(request, path, codec).await {
            Ok(_) => None,
            Err(status) => refused(&status),
        }
    }
}

/// How access refuses, if this is its word: the code and the word.
fn refused(status: &Status) -> Option<String> {
    let told = status.get_error_details();
    let word = told
        .error_info()
        .and_then(|info| info.metadata.get("denial").cloned());
    match (status.code(), word) {
        (Code::Unauthenticated, Some(word)) => Some(format!("unauthenticated {word}")),
        (Code::PermissionDenied, Some(word)) => Some(format!("denied {word}")),
        // What the connection says has a cause; what the gateway says has none.
        (_, None) if std::error::Error::source(status).is_some() => {
            Some("no connection".to_owned())
        }
        (Code::Unauthenticated | Code::PermissionDenied, None) => {
            panic!("a refusal without its word: {status:?}")
        }
        _ => None,
    }
}

/// Every method, as the gateway itself tells by reflection.
async fn methods(caller: &Caller) -> Vec<String> {
    let mut reflection = ServerReflectionClient::new(caller.channel.clone());
    let mut ask = async |request: MessageRequest| {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(request),
        };
        let asked = tokio_stream::once(request);
        let mut answers = reflection
            .server_reflection_info(asked)
            .await
            .unwrap()
            .into_inner();
        answers
            .message()
            .await
            .unwrap()
            .unwrap()
            .message_response
            .unwrap()
    };
    let MessageResponse::ListServicesResponse(listed) =
        ask(MessageRequest::ListServices(String::new())).await
    else {
        panic!("reflection lists services");
    };
    let mut methods = Vec::new();
    for service in listed.service {
        let MessageResponse::FileDescriptorResponse(FileDescriptorResponse {
            file_descriptor_proto,
        }) = ask(MessageRequest::FileContainingSymbol(service.name.clone())).await
        else {
            panic!("reflection describes {}", service.name);
        };
        let files = file_descriptor_proto
            .iter()
            .map(|bytes| FileDescriptorProto::decode(bytes.as_slice()).unwrap());
        for file in files {
            let ours = file
                .service
                .iter()
                .filter(|one| format!("{}.{}", file.package(), one.name()) == service.name);
            for method in ours.flat_map(|one| &one.method) {
                methods.push(format!("/{}/{}", service.name, method.name()));
            }
        }
    }
    methods.sort();
    methods.dedup();
    methods
}

/// A token of `paygatectl token new`: the token and its entry.
fn token(arguments: &[&str]) -> (String, String) {
    let made = Command::new(&binaries::build().unwrap().ctl)
        .args(["token", "new"])
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let out = String::from_utf8(made.stdout).unwrap();
    let (token, entry) = out.split_once("\n\n").unwrap();
    (token.to_owned(), entry.to_owned())
}

/// As nginx hands it on.
fn forwarded(pem: &str) -> String {
    let escaped: String = pem
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("Cert=\"{escaped}\"")
}

fn subject(common_name: &str, names: &[&str]) -> Subject {
    Subject {
        common_name: common_name.to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        expired: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_refuses_everybody_but_who_may_call_it() {
    let gateway = Guarded::start(&Guard {
        clients: CLIENTS.to_owned(),
        security: "trusted_proxies = [\"dns:proxy.test\"]".to_owned(),
        ..Guard::default()
    })
    .await;
    let (all_cert, all_identity) =
        gateway.issue("all", 10, &subject("x", &["uri:spiffe://test/all"]));
    let (taken, taken_identity) =
        gateway.issue("taken", 11, &subject("x", &["uri:spiffe://test/all"]));
    let (_, far) = gateway.issue("far", 12, &subject("far", &[]));
    let (_, stranger) = gateway.issue("stranger", 13, &subject("stranger", &["dns:nobody.test"]));
    let (_, proxy) = gateway.issue("proxy", 14, &subject("x", &["dns:proxy.test"]));
    let over = Subject {
        expired: true,
        ..subject("x", &["uri:spiffe://test/all"])
    };
    let (_, over) = gateway.issue("over", 15, &over);
    let (good_token, good) = token(&["--id", "good", "--client", "all"]);
    let (old_token, old) = token(&[
        "--id",
        "old",
        "--client",
        "all",
        "--expires",
        "2021-01-01T00:00:00Z",
    ]);
    let (gone_token, gone) = token(&["--id", "gone", "--client", "all"]);
    gateway.put(
        "tokens.toml",
        &format!("{good}\n{old}\n{gone}revoked = true\n"),
    );
    gateway.put("crl.pem", &gateway.authority.revoked(&[taken.serial]));
    rotation::reloads(&gateway, "tokens", "ok", 1).await;
    rotation::reloads(&gateway, "tls", "ok", 1).await;

    let nobody = Caller::new(&gateway, &gateway.nobody());
    let all = Caller::new(&gateway, &all_identity);
    let taken_caller = Caller::new(&gateway, &taken_identity);
    let far = Caller::new(&gateway, &far);
    let stranger = Caller::new(&gateway, &stranger);
    let proxy = Caller::new(&gateway, &proxy);
    let over = Caller::new(&gateway, &over);
    let bearer = |token: &str| format!("Bearer {token}");
    let mut singles = BTreeMap::new();
    for (at, scope) in (20..).zip(Scope::ALL) {
        let name = format!("dns:{}.test", scope.name());
        let (_, identity) = gateway.issue(scope.name(), at, &subject("x", &[&name]));
        singles.insert(scope, Caller::new(&gateway, &identity));
    }

    let mut methods = methods(&all).await;
    // Served beside the first version, which is the one that tells.
    methods.push("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo".to_owned());
    assert!(methods.len() >= 20, "{methods:?}");
    println!(
        "{:<62} {:<14} {:<8} {:<8} {:<8} {:<8} {:<8} {:<8} right",
        "method", "scope", "nobody", "scope", "expired", "revoked", "address", "spoofed"
    );
    for path in &methods {
        let Some(needed) = rule(path) else {
            panic!("{path} is served and has no rule: add it to api/access/rules.rs");
        };
        let refusals = [
            (
                "nobody",
                nobody.tries(path).await,
                "unauthenticated no_credential",
            ),
            (
                "expired",
                nobody
                    .with("authorization", bearer(&old_token))
                    .tries(path)
                    .await,
                "unauthenticated token_expired",
            ),
            (
                "expired certificate",
                over.tries(path).await,
                "no connection",
            ),
            (
                "revoked token",
                nobody
                    .with("authorization", bearer(&gone_token))
                    .tries(path)
                    .await,
                "unauthenticated token_revoked",
            ),
            (
                "wrong token",
                nobody
                    .with("authorization", bearer(&format!("{good_token}0")))
                    .tries(path)
                    .await,
                "unauthenticated token_invalid",
            ),
            (
                "wrong token with a good certificate",
                all.with("authorization", bearer("pgt_x_0"))
                    .tries(path)
                    .await,
                "unauthenticated token_invalid",
            ),
            ("revoked", taken_caller.tries(path).await, "no connection"),
            ("address", far.tries(path).await, "denied address"),
            ("stranger", stranger.tries(path).await, "denied unmapped"),
            (
                "spoofed certificate",
                all.with("x-forwarded-client-cert", forwarded(&all_cert.cert))
                    .tries(path)
                    .await,
                "unauthenticated proxy_header",
            ),
            (
                "spoofed by nobody",
                nobody
                    .with("x-forwarded-client-cert", forwarded(&all_cert.cert))
                    .tries(path)
                    .await,
                "unauthenticated proxy_header",
            ),
            (
                "spoofed address",
                far.with("x-forwarded-for", "10.1.2.3").tries(path).await,
                "unauthenticated proxy_header",
            ),
            (
                "proxy for a revoked one",
                proxy
                    .with("x-forwarded-client-cert", forwarded(&taken.cert))
                    .tries(path)
                    .await,
                "unauthenticated certificate_revoked",
            ),
            (
                "proxy that says two things",
                proxy
                    .with(
                        "x-forwarded-client-cert",
                        format!("{0},{0}", forwarded(&all_cert.cert)),
                    )
                    .tries(path)
                    .await,
                "unauthenticated proxy_header_malformed",
            ),
        ];
        for (who, heard, expected) in &refusals {
            let heard = heard.as_deref().unwrap_or("let in");
            assert!(
                heard.starts_with(expected),
                "{path}: {who} hears {heard:?}, not {expected:?}"
            );
        }
        let mut wrong = "-";
        for (scope, caller) in &singles {
            let heard = caller.tries(path).await;
            match needed.allows(&[*scope]) {
                true => assert_eq!(heard, None, "{path} with {}", scope.name()),
                false => {
                    assert_eq!(
                        heard.as_deref(),
                        Some("denied scope"),
                        "{path} with {}",
                        scope.name()
                    );
                    wrong = "refused";
                }
            }
        }
        for (who, right) in [
            ("certificate", all.clone()),
            ("token", nobody.with("authorization", bearer(&good_token))),
            (
                "by proxy",
                proxy
                    .with("x-forwarded-client-cert", forwarded(&all_cert.cert))
                    .with("x-forwarded-for", "192.0.2.7"),
            ),
            (
                "token by proxy",
                proxy.with("authorization", bearer(&good_token)),
            ),
        ] {
            assert_eq!(right.tries(path).await, None, "{path}: {who}");
        }
        let itself = proxy.tries(path).await;
        match needed {
            Rule::Known => assert_eq!(itself, None, "{path}: the proxy for itself"),
            Rule::Any(_) => {
                assert_eq!(
                    itself.as_deref(),
                    Some("unauthenticated no_credential"),
                    "{path}: the proxy for itself"
                );
            }
        }
        println!(
            "{path:<62} {:<14} {:<8} {wrong:<8} {:<8} {:<8} {:<8} {:<8} let in",
            needed.needs().chars().take(14).collect::<String>(),
            "refused",
            "refused",
            "refused",
            "refused",
            "refused"
        );
    }
    // What does not exist is refused too, and to nobody it is not even said that it does not.
    for path in [
        "/paygate.v1.PaymentService/createpayment",
        "/paygate.v1.Nothing/Get",
    ] {
        assert_eq!(
            nobody.tries(path).await.as_deref(),
            Some("unauthenticated no_credential")
        );
    }
    // A proxy's caller is known by the address that the proxy saw.
    let (far_cert, _) = gateway.issue("far2", 30, &subject("far", &[]));
    let far_by_proxy = proxy.with("x-forwarded-client-cert", forwarded(&far_cert.cert));
    let look = "/paygate.v1.PaymentService/GetPayment";
    assert_eq!(
        far_by_proxy.tries(look).await.as_deref(),
        Some("denied address")
    );
    let outside = far_by_proxy.with("x-forwarded-for", "10.1.1.1, 192.0.2.7");
    assert_eq!(outside.tries(look).await.as_deref(), Some("denied address"));
    let inside = far_by_proxy.with("x-forwarded-for", "192.0.2.7, 10.1.1.1");
    assert_eq!(inside.tries(look).await, None);

    // Each refusal is counted; none of them is in the log with a secret.
    for reason in [
        "no_credential",
        "scope",
        "token_expired",
        "address",
        "proxy_header",
        "unmapped",
    ] {
        let line = format!("paygate_access_denied_total{{reason=\"{reason}\"}}");
        assert!(gateway.metric(&line).await > 0, "{line}");
    }
    for result in ["revoked", "expired"] {
        let line = format!("paygate_tls_handshakes_total{{result=\"{result}\"}}");
        assert!(gateway.metric(&line).await > 0, "{line}");
    }
    let ends = "paygate_certificate_expiry_timestamp_seconds{file=\"cert_file\"}";
    assert_eq!(gateway.metric(ends).await, 3_786_912_000, "2090-01-01");
    for secret in [&good_token, &old_token, &gone_token] {
        let secret = secret.rsplit('_').next().unwrap();
        assert!(!gateway.log().contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_his_own_payments_only() {
    let gateway = Guarded::start(&Guard {
        clients: CLIENTS.to_owned(),
        ..Guard::default()
    })
    .await;
    let of = |name: &str, serial, names: &[&str]| {
        let (_, identity) = gateway.issue(name, serial, &subject("x", names));
        gateway.client(&identity)
    };
    let payer = of("payer", 40, &["dns:pay.test"]);
    let reader = of("reader", 41, &["dns:read.test"]);
    let operator = of("operator", 42, &["dns:operate.test"]);
    let approver = of("approver", 43, &["dns:approve.test"]);
    let destination = paygate_tests::world::wallet::payee("landlord");
    payer
        .create_payment(paygate_tests::world::client::payment(
            "rent",
            &destination,
            1_000_000,
        ))
        .await
        .unwrap();
    payer.get_payment("rent", "").await.unwrap();
    for (who, client) in [("operator", &operator), ("approver", &approver)] {
        let found = client.get_payment("rent", "only-pay").await.unwrap();
        assert_eq!(found.payment_id, "rent", "{who}");
        client.explain_payment("rent", "only-pay").await.unwrap();
    }
    let everybody = operator.list_payments(Default::default()).await.unwrap();
    assert_eq!(everybody.payments.len(), 1);
    for client in [&reader, &approver, &payer] {
        let own = client
            .list_payments(Default::default())
            .await
            .unwrap()
            .payments
            .len();
        assert_eq!(own, usize::from(std::ptr::eq(client, &payer)));
    }
    let refusal = reader.get_payment("rent", "only-pay").await.unwrap_err();
    assert!(
        refusal.to_string().contains("another client's"),
        "{refusal}"
    );
    let refusal = reader
        .explain_payment("rent", "only-pay")
        .await
        .unwrap_err();
    assert!(
        refusal.to_string().contains("another client's"),
        "{refusal}"
    );
    let others = paygate_client::proto::ListPaymentsRequest {
        client_id: "only-pay".to_owned(),
        ..Default::default()
    };
    reader.list_payments(others.clone()).await.unwrap_err();
    approver.list_payments(others).await.unwrap();
    let unknown = reader.get_payment("rent", "").await.unwrap_err();
    assert!(
        !unknown.to_string().contains("another client's"),
        "{unknown}"
    );
}
