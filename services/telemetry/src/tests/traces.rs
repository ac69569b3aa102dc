//! A trace crosses processes and hours without losing its id.

use tonic::metadata::MetadataMap;

use super::{attribute, scene, spans_in};
use crate::propagation::{from_metadata, inject, set_remote_parent, traceparent_of};
use crate::{LogLevel, SpanRing, TraceParent};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn traceparents_are_checked_strictly() {
    for good in [
        CALLER,
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    ] {
        assert_eq!(good.parse::<TraceParent>().unwrap().to_string(), good);
    }
    // A later version is read as far as this one goes.
    assert_eq!(
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"
            .parse::<TraceParent>()
            .unwrap()
            .as_str(),
        CALLER
    );
    for bad in [
        "",
        "00",
        "00-",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333é-1",
        "00-0af7651916cd43dd8448eb211c80319\n-b7ad6b7169203331-01",
    ] {
        assert!(bad.parse::<TraceParent>().is_err(), "{bad:?}");
        if let Ok(value) = bad.parse() {
            let mut metadata = MetadataMap::new();
            metadata.insert("traceparent", value);
            assert_eq!(from_metadata(&metadata), None);
        }
    }
}

#[test]
fn two_traceparents_are_none() {
    let mut metadata = MetadataMap::new();
    metadata.append("traceparent", CALLER.parse().unwrap());
    assert!(from_metadata(&metadata).is_some());
    metadata.append("traceparent", CALLER.parse().unwrap());
    assert_eq!(from_metadata(&metadata), None);
}

#[test]
fn a_trace_goes_on_over_a_stored_parent() {
    let scene = scene(LogLevel::Info, 16);
    let caller: TraceParent = CALLER.parse().unwrap();

    let span = tracing::info_span!("bind", payment_id = "p1");
    set_remote_parent(&span, &caller);
    let mut metadata = MetadataMap::new();
    span.in_scope(|| {
        let child = tracing::info_span!("sign");
        inject(&child, &mut metadata);
    });
    let handed_on = from_metadata(&metadata).unwrap();
    drop(span);

    assert_eq!(handed_on.trace_id(), caller.trace_id());
    assert_ne!(handed_on.span_id(), caller.span_id());
    let spans = spans_in(&scene.ring.pull(10));
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let [sign, bind] = spans.as_slice() else {
        panic!("two spans, not {}", spans.len())
    };
    assert_eq!(hex(&bind.parent_span_id), caller.span_id());
    assert_eq!(sign.parent_span_id, bind.span_id);
    assert_eq!(hex(&sign.span_id), handed_on.span_id());
    assert_eq!(attribute(bind, "payment_id").as_deref(), Some("p1"));
    assert_eq!(
        bind.attributes.len(),
        1,
        "no attributes of its own accord: {:?}",
        bind.attributes
    );
}

#[test]
fn a_parent_that_comes_too_late_changes_nothing() {
    let _scene = scene(LogLevel::Info, 16);
    let caller: TraceParent = CALLER.parse().unwrap();
    let span = tracing::info_span!("late");
    let before = traceparent_of(&span).unwrap();
    set_remote_parent(&span, &caller);
    assert_eq!(traceparent_of(&span).unwrap(), before);
}

#[test]
fn a_caller_who_does_not_sample_keeps_its_trace_id() {
    let scene = scene(LogLevel::Info, 16);
    let caller: TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
        .parse()
        .unwrap();
    let span = tracing::info_span!("unsampled");
    set_remote_parent(&span, &caller);
    let own = traceparent_of(&span).unwrap();
    drop(span);
    assert_eq!(own.trace_id(), caller.trace_id());
    assert!(own.as_str().ends_with("-00"));
    assert!(scene.ring.pull(10).is_empty());
}

#[test]
fn without_a_subscriber_there_is_no_traceparent() {
    let span = tracing::Span::none();
    set_remote_parent(&span, &CALLER.parse().unwrap());
    assert_eq!(traceparent_of(&span), None);
    let mut metadata = MetadataMap::new();
    inject(&span, &mut metadata);
    assert!(metadata.is_empty());
}

#[test]
fn a_full_ring_loses_the_oldest_and_counts_them() {
    let scene = scene(LogLevel::Info, 3);
    for number in 0..5 {
        tracing::info_span!("span", number).in_scope(|| ());
    }
    assert_eq!(scene.ring.dropped(), 2);
    let first = spans_in(&scene.ring.pull(2));
    let numbers = |spans: &[opentelemetry_proto::tonic::trace::v1::Span]| {
        spans
            .iter()
            .filter_map(|span| attribute(span, "number"))
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(&first), ["2", "3"]);
    assert_eq!(numbers(&spans_in(&scene.ring.pull(100))), ["4"]);
    assert!(scene.ring.pull(100).is_empty());
    assert_eq!(scene.ring.dropped(), 2);
}

#[test]
fn pulled_requests_are_small_and_name_the_service() {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message as _;

    let scene = scene(LogLevel::Info, 2000);
    for _ in 0..1200 {
        tracing::info_span!("span").in_scope(|| ());
    }
    let requests = scene.ring.pull(usize::MAX);
    assert_eq!(requests.len(), 3);
    assert_eq!(spans_in(&requests).len(), 1200);
    for request in requests {
        let request = ExportTraceServiceRequest::decode(request.as_slice()).unwrap();
        let resource = request.resource_spans[0].resource.clone().unwrap();
        let name = resource
            .attributes
            .iter()
            .find(|pair| pair.key == "service.name")
            .unwrap();
        assert!(format!("{name:?}").contains("paygate-test"));
    }
    assert!(SpanRing::new(0).pull(1).is_empty());
}

#[test]
fn spans_of_other_crates_and_below_info_are_not_recorded() {
    let scene = scene(LogLevel::Trace, 16);
    tracing::info_span!(target: "h2::client", "frame").in_scope(|| ());
    tracing::debug_span!("detail").in_scope(|| ());
    assert!(scene.ring.pull(10).is_empty());
}

#[test]
fn discarded_spans_still_have_a_trace() {
    let settings = crate::Settings {
        service_name: "paygate-test",
        log_level: LogLevel::Info,
        spans: crate::SpanSink::Discard,
    };
    let (subscriber, _telemetry) =
        crate::tracing_setup::build(settings, Box::new(std::io::sink())).unwrap();
    let _guard = tracing::subscriber::set_default(subscriber);
    let caller: TraceParent = CALLER.parse().unwrap();
    let span = tracing::info_span!("span");
    set_remote_parent(&span, &caller);
    assert_eq!(traceparent_of(&span).unwrap().trace_id(), caller.trace_id());
    let root = traceparent_of(&tracing::info_span!("root")).unwrap();
    assert_ne!(root.trace_id(), caller.trace_id());
}
