//! What this host does differently from the ABI's text, one switch for each habit of a real gateway. All on is Kong with
//! `ngx_wasm_module`; all off is close to Envoy. A test turns single ones off or on to show what depends on them.

/// What happens to a write that does not fit into the shared zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenFull {
    /// `eviction=none`: the host call traps.
    Trap,
    /// The default of Kong: the keys written longest ago vanish.
    Evict,
}

/// The switches. Each field says what *on* means.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a list of independent switches is what this is")]
pub struct Quirks {
    /// Shared data compares keys by their CRC-32 and never by themselves.
    pub crc32_keys: bool,
    /// A write with cas 0 succeeds only on an absent key, and one with a cas only on a present key. Off: cas 0
    /// overwrites and any cas creates.
    pub cas_zero_means_absent: bool,
    /// The cas of a key restarts at 1 whenever the key is made anew. Off: one counter for the whole host.
    pub cas_restarts: bool,
    /// A write of null deletes the key. Off: it stores an empty value.
    pub null_deletes: bool,
    /// Capacity of the zone in bytes, slab rounding included. `None`: unlimited.
    pub zone_bytes: Option<usize>,
    pub when_full: WhenFull,
    /// There is no zone: every shared-data call, even a read, traps.
    pub zone_missing: bool,
    /// Removing a request header only hides it from the filter; the upstream still receives it. Replacing the whole
    /// map is refused.
    pub removal_stays_upstream: bool,
    /// Setting a header replaces its first copy only. Off: all copies.
    pub replace_first_copy_only: bool,
    /// The header map leaves out `:method`, `:path` and their kin; asked for one by one they are there.
    pub map_without_pseudo_headers: bool,
    /// Longest header map the filter can read. `None`: unlimited.
    pub header_cap: Option<usize>,
    /// Whether the number of headers told to `on_request_headers` is cut as well.
    pub header_count_is_capped: bool,
    /// Header names with an underscore reach the filter and the upstream. Off: such headers are dropped.
    pub underscores_accepted: bool,
    /// Header names arrive as the client spelled them. Off: in lower case.
    pub keeps_header_case: bool,
    /// `end_of_stream` is false in request headers even when there is no body.
    pub eof_never_in_headers: bool,
    /// The body arrives in one call, and not at all when it is empty. Off: in chunks as they were sent, and an empty
    /// body behind open headers makes one last empty call.
    pub body_in_one_call: bool,
    /// A body longer than this cannot be read.
    pub body_readable_max: Option<usize>,
    /// A body that was announced is never shown. Not known of any host, but nothing may depend on that.
    pub body_callback_lost: bool,
    /// Setting `:path` changes nothing for the upstream, the property `ngx.upstream_uri` does. Off: the reverse.
    pub path_by_property: bool,
    /// Answering Pause with no call in flight leaves the request hanging, which fails the test.
    pub pause_hangs: bool,
    /// A local response's body gets one more line feed.
    pub local_body_newline: bool,
    /// Of several headers of one name in a local response only the last one is sent.
    pub local_last_header_wins: bool,
    /// A local response to a gRPC request is sent as the filter made it. Off: the host makes it an answer of gRPC's.
    pub grpc_answers_are_plain: bool,
    /// The first read of a `kong.*` property outside request headers crashes the worker, which fails the test.
    pub late_kong_property_crashes: bool,
    /// Setting a `kong.*` property the gateway does not know traps.
    pub unknown_kong_property_traps: bool,
    /// A second, different tick period other than zero traps, whichever root context sets it.
    pub tick_period_only_once: bool,
    /// A dispatch from a root context's call response crashes the worker, which fails the test.
    pub dispatch_in_root_answer_crashes: bool,
    /// A dispatch without `:method`, `:path` and `:authority` traps. Off: it answers "bad argument".
    pub dispatch_needs_pseudo_headers_or_traps: bool,
    /// A dispatch in `on_vm_start` or `on_configure` fails the test.
    pub dispatch_at_start_crashes: bool,
    /// After a trap: the request gets 500, the next one a new instance that is configured but not started, timers stay,
    /// and a tick that comes first cannot dispatch. Off: the worker is started again from nothing.
    pub trap_keeps_timers: bool,
    /// A filter that refuses its configuration or traps at start switches every filter off: requests pass unseen.
    pub start_failure_opens: bool,
    /// A stored metric name longer than 256 bytes traps, and so does reading a histogram.
    pub strict_metrics: bool,
    /// The foreign function `verify_signature` exists.
    pub verifies_signatures: bool,
    /// Properties `kong.*` and `ngx.*` exist, paths may be separated by dots. Off: Envoy's `request.id` and its kin.
    pub kong_properties: bool,
}

impl Quirks {
    /// Kong 3.9 with `ngx_wasm_module`, zone `app_auth` of 64 MiB with `eviction=none`.
    pub const fn kong() -> Self {
        Self {
            crc32_keys: true,
            cas_zero_means_absent: true,
            cas_restarts: true,
            null_deletes: true,
            zone_bytes: Some(64 << 20),
            when_full: WhenFull::Trap,
            zone_missing: false,
            removal_stays_upstream: true,
            replace_first_copy_only: true,
            map_without_pseudo_headers: false,
            header_cap: Some(100),
            header_count_is_capped: true,
            underscores_accepted: true,
            keeps_header_case: true,
            eof_never_in_headers: true,
            body_in_one_call: true,
            body_readable_max: Some(8 << 10),
            body_callback_lost: false,
            path_by_property: true,
            pause_hangs: true,
            local_body_newline: true,
            local_last_header_wins: true,
            grpc_answers_are_plain: true,
            late_kong_property_crashes: true,
            unknown_kong_property_traps: true,
            tick_period_only_once: true,
            dispatch_in_root_answer_crashes: true,
            dispatch_needs_pseudo_headers_or_traps: true,
            dispatch_at_start_crashes: true,
            trap_keeps_timers: true,
            start_failure_opens: true,
            strict_metrics: true,
            verifies_signatures: false,
            kong_properties: true,
        }
    }

    /// Envoy. It never drops a dispatch at start and never crashes, but it lets underscores through as Kong does.
    pub const fn envoy() -> Self {
        Self {
            crc32_keys: false,
            cas_zero_means_absent: false,
            cas_restarts: false,
            null_deletes: false,
            zone_bytes: None,
            when_full: WhenFull::Trap,
            zone_missing: false,
            removal_stays_upstream: false,
            replace_first_copy_only: false,
            map_without_pseudo_headers: false,
            header_cap: None,
            header_count_is_capped: false,
            underscores_accepted: true,
            keeps_header_case: false,
            eof_never_in_headers: false,
            body_in_one_call: false,
            body_readable_max: None,
            body_callback_lost: false,
            path_by_property: false,
            pause_hangs: true,
            local_body_newline: false,
            local_last_header_wins: false,
            grpc_answers_are_plain: false,
            late_kong_property_crashes: false,
            unknown_kong_property_traps: false,
            tick_period_only_once: false,
            dispatch_in_root_answer_crashes: false,
            dispatch_needs_pseudo_headers_or_traps: false,
            dispatch_at_start_crashes: false,
            trap_keeps_timers: false,
            start_failure_opens: false,
            strict_metrics: false,
            verifies_signatures: true,
            kong_properties: false,
        }
    }
}
