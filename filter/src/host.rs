//! The only file that calls the host. Statuses stay plain numbers, because a host may return one that the SDK's enum does
//! not have, and no call here can panic.

use app_auth_core::host::{HostFailure, SetFailure, SharedData, Stored};
use app_auth_core::refusal::Response;
use app_auth_core::request::headers;
use app_auth_core::state::keys::SharedKey;

mod abi {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
        pub fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
        pub fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
        pub fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
        pub fn proxy_get_header_map_value(
            map: u32,
            key: *const u8,
            key_size: usize,
            value: *mut *mut u8,
            value_size: *mut usize,
        ) -> u32;
        pub fn proxy_set_header_map_pairs(map: u32, data: *const u8, size: usize) -> u32;
        pub fn proxy_replace_header_map_value(
            map: u32,
            key: *const u8,
            key_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub fn proxy_get_property(
            path: *const u8,
            path_size: usize,
            value: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, size: usize) -> u32;
        pub fn proxy_get_shared_data(
            key: *const u8,
            key_size: usize,
            value: *mut *mut u8,
            value_size: *mut usize,
            cas: *mut u32,
        ) -> u32;
        pub fn proxy_set_shared_data(
            key: *const u8,
            key_size: usize,
            value: *const u8,
            value_size: usize,
            cas: u32,
        ) -> u32;
        pub fn proxy_get_buffer_bytes(
            buffer: u32,
            start: usize,
            max_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub fn proxy_set_buffer_bytes(
            buffer: u32,
            start: usize,
            length: usize,
            data: *const u8,
            size: usize,
        ) -> u32;
        pub fn proxy_send_local_response(
            status: u32,
            details: *const u8,
            details_size: usize,
            body: *const u8,
            body_size: usize,
            headers: *const u8,
            headers_size: usize,
            grpc_status: i32,
        ) -> u32;
        pub fn proxy_call_foreign_function(
            name: *const u8,
            name_size: usize,
            arguments: *const u8,
            arguments_size: usize,
            results: *mut *mut u8,
            results_size: *mut usize,
        ) -> u32;
        pub fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
        pub fn proxy_record_metric(id: u32, value: u64) -> u32;
        pub fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    }
}

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const CAS_MISMATCH: u32 = 8;

const REQUEST_HEADERS: u32 = 0;
const CALL_RESPONSE_HEADERS: u32 = 6;
const REQUEST_BODY: u32 = 0;
const CALL_RESPONSE_BODY: u32 = 4;
const PLUGIN_CONFIGURATION: u32 = 7;

/// Levels of the host's log.
#[derive(Clone, Copy)]
pub enum Level {
    Info = 2,
    Warn = 3,
    Error = 4,
    Critical = 5,
}

pub fn log(level: Level, message: &str) {
    // SAFETY: pointer and length of a live string; the host only reads. There is nowhere to report a failure to.
    unsafe { abi::proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// Milliseconds since the Unix epoch. Does not advance within a callback on one host.
pub fn now() -> Option<u64> {
    let mut nanoseconds = 0;
    // SAFETY: a live, aligned place for the result.
    let status = unsafe { abi::proxy_get_current_time_nanoseconds(&raw mut nanoseconds) };
    (status == OK).then_some(nanoseconds / 1_000_000)
}

pub fn set_tick_period(milliseconds: u32) {
    // SAFETY: takes a number.
    unsafe { abi::proxy_set_tick_period_milliseconds(milliseconds) };
}

/// A result that the host allocated through the SDK's `proxy_on_memory_allocate`, a boxed slice of exactly `size` bytes.
struct Returned {
    data: *mut u8,
    size: usize,
}

impl Returned {
    const fn new() -> Self {
        Self { data: std::ptr::null_mut(), size: 0 }
    }

    fn take(self) -> Vec<u8> {
        if self.data.is_null() || self.size == 0 {
            return Vec::new();
        }
        let slice = std::ptr::slice_from_raw_parts_mut(self.data, self.size);
        // SAFETY: a boxed slice of this length, made by this module's allocator and owned by us from here on.
        unsafe { Box::from_raw(slice) }.into_vec()
    }
}

/// All request headers in the host's encoding; see [`headers::HeaderMap`].
pub fn request_headers() -> Option<Vec<u8>> {
    let mut out = Returned::new();
    // SAFETY: live, aligned places for the results.
    let status =
        unsafe { abi::proxy_get_header_map_pairs(REQUEST_HEADERS, &raw mut out.data, &raw mut out.size) };
    (status == OK).then(|| out.take())
}

/// One request header.
pub fn request_header(name: &str) -> Option<Vec<u8>> {
    header(REQUEST_HEADERS, name)
}

/// A header of the answer to a call.
pub fn call_response_header(name: &str) -> Option<Vec<u8>> {
    header(CALL_RESPONSE_HEADERS, name)
}

fn header(map: u32, name: &str) -> Option<Vec<u8>> {
    let mut out = Returned::new();
    // SAFETY: a live string, and live, aligned places for the results.
    let status = unsafe {
        abi::proxy_get_header_map_value(map, name.as_ptr(), name.len(), &raw mut out.data, &raw mut out.size)
    };
    (status == OK).then(|| out.take())
}

/// The host refused a change to the request.
#[derive(Debug, Clone, Copy)]
pub struct Refused;

const fn check(status: u32) -> Result<(), Refused> {
    if status == OK { Ok(()) } else { Err(Refused) }
}

/// Replaces all request headers by these, in the host's encoding. Copies and spellings that are not among them are gone.
pub fn set_headers(block: &[u8]) -> Result<(), Refused> {
    // SAFETY: a live slice; the host only reads.
    check(unsafe { abi::proxy_set_header_map_pairs(REQUEST_HEADERS, block.as_ptr(), block.len()) })
}

/// Sets a request header; on one host only its first copy.
pub fn set_header(name: &[u8], value: &[u8]) -> Result<(), Refused> {
    // SAFETY: live slices; the host only reads.
    check(unsafe {
        abi::proxy_replace_header_map_value(
            REQUEST_HEADERS,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// A property; segments of its path are separated by zero bytes.
pub fn property(path: &str) -> Option<Vec<u8>> {
    let mut out = Returned::new();
    // SAFETY: a live string, and live, aligned places for the results.
    let status =
        unsafe { abi::proxy_get_property(path.as_ptr(), path.len(), &raw mut out.data, &raw mut out.size) };
    (status == OK).then(|| out.take())
}

pub fn set_property(path: &str, value: &[u8]) -> Result<(), Refused> {
    // SAFETY: live slices; the host only reads.
    check(unsafe { abi::proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

fn buffer(kind: u32, size: usize) -> Option<Vec<u8>> {
    let mut out = Returned::new();
    // SAFETY: live, aligned places for the results.
    let status = unsafe { abi::proxy_get_buffer_bytes(kind, 0, size, &raw mut out.data, &raw mut out.size) };
    match status {
        OK => Some(out.take()),
        NOT_FOUND => Some(Vec::new()),
        _ => None,
    }
}

pub fn plugin_configuration(size: usize) -> Option<Vec<u8>> {
    buffer(PLUGIN_CONFIGURATION, size)
}

pub fn request_body(size: usize) -> Option<Vec<u8>> {
    buffer(REQUEST_BODY, size)
}

pub fn call_response_body(size: usize) -> Option<Vec<u8>> {
    buffer(CALL_RESPONSE_BODY, size)
}

/// Replaces the whole request body, which is `old_size` bytes long.
pub fn replace_request_body(old_size: usize, body: &[u8]) -> Result<(), Refused> {
    // SAFETY: a live slice; the host only reads.
    check(unsafe { abi::proxy_set_buffer_bytes(REQUEST_BODY, 0, old_size, body.as_ptr(), body.len()) })
}

/// Answers the request. `details` is what the host's access log calls the reason; empty for none.
pub fn respond(response: &Response, details: &str) -> Result<(), Refused> {
    let pairs = response.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let headers = headers::serialize(pairs);
    // SAFETY: live slices; the host only reads.
    check(unsafe {
        abi::proxy_send_local_response(
            u32::from(response.status),
            details.as_ptr(),
            details.len(),
            response.body.as_ptr(),
            response.body.len(),
            headers.as_ptr(),
            headers.len(),
            response.grpc_status.map_or(-1, i32::from),
        )
    })
}

/// Calls a function that only some hosts have. `None`: this one has not, or it failed.
pub fn foreign_function(name: &str, arguments: &[u8]) -> Option<Vec<u8>> {
    let mut out = Returned::new();
    // SAFETY: live slices, which the host only reads, and live, aligned places for the results.
    let status = unsafe {
        abi::proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            &raw mut out.data,
            &raw mut out.size,
        )
    };
    (status == OK).then(|| out.take())
}

/// Kinds of metric.
#[derive(Clone, Copy)]
pub enum MetricKind {
    Counter = 0,
    Gauge = 1,
}

pub fn define_metric(kind: MetricKind, name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: a live string and a live, aligned place for the result.
    let status = unsafe { abi::proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) };
    (status == OK).then_some(id)
}

pub fn increment_metric(id: u32, by: u64) {
    // SAFETY: takes numbers. A metric that is not counted is no reason to fail anything.
    unsafe { abi::proxy_increment_metric(id, i64::try_from(by).unwrap_or(i64::MAX)) };
}

pub fn record_metric(id: u32, value: u64) {
    // SAFETY: takes numbers.
    unsafe { abi::proxy_record_metric(id, value) };
}

/// The node's shared data.
pub struct Zone;

impl SharedData for Zone {
    fn get(&self, key: SharedKey) -> Result<Stored, HostFailure> {
        let mut out = Returned::new();
        let mut cas = 0;
        let name = key.as_bytes();
        // SAFETY: a live slice, and live, aligned places for the results.
        let status = unsafe {
            abi::proxy_get_shared_data(
                name.as_ptr(),
                name.len(),
                &raw mut out.data,
                &raw mut out.size,
                &raw mut cas,
            )
        };
        match status {
            OK => Ok(Stored { value: Some(out.take()).filter(|value| !value.is_empty()), cas }),
            // One host keeps the token of a deleted key, and wants it for the next write.
            NOT_FOUND => Ok(Stored { value: None, cas }),
            other => Err(HostFailure(other)),
        }
    }

    fn set(&self, key: SharedKey, value: &[u8], cas: u32) -> Result<(), SetFailure> {
        let name = key.as_bytes();
        let data = if value.is_empty() { std::ptr::null() } else { value.as_ptr() };
        // SAFETY: live slices (or none, with length 0); the host only reads.
        let status = unsafe { abi::proxy_set_shared_data(name.as_ptr(), name.len(), data, value.len(), cas) };
        match status {
            OK => Ok(()),
            // Deleting what is not there is done already.
            NOT_FOUND if value.is_empty() => Ok(()),
            CAS_MISMATCH => Err(SetFailure::CasMismatch),
            other => Err(SetFailure::Host(HostFailure(other))),
        }
    }
}
