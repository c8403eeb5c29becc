//! Keys in the query, and how they are kept from the upstream: Kong takes a property for that, Envoy the path.

use app_auth_core::record::KeyAuthConfig;
use app_auth_wasm_host::Quirks;

use crate::support::{KEY, World, get, with_key};

fn hiding() -> KeyAuthConfig {
    KeyAuthConfig { hide_credentials: true, ..KeyAuthConfig::default() }
}

#[test]
fn setting_path_changes_nothing_on_kong_yet_the_hidden_key_leaves_the_query_on_both_hosts() {
    let cases = [
        ("/a?apikey=KEY", "/a"),
        ("/a?x=1&apikey=KEY", "/a?x=1"),
        ("/a?apikey=KEY&x=1", "/a?x=1"),
        ("/a?x=1&apikey=KEY&y=%26&flag", "/a?x=1&y=%26&flag"),
        ("/a?%61pikey=KEY&x=1", "/a?x=1"),
        ("/a?api%6Bey=KEY", "/a"),
    ];
    for mut world in World::each(&hiding()) {
        for (path, expected) in cases {
            let outcome = world.send(&get(&path.replace("KEY", KEY)));
            assert_eq!(outcome.upstream().path, expected, "{path}");
        }
    }
}

#[test]
fn a_host_that_leaves_path_and_method_out_of_the_header_list_is_asked_for_them() {
    let quirks = Quirks { map_without_pseudo_headers: true, ..Quirks::kong() };
    let mut world = World::with(quirks, KeyAuthConfig { run_on_preflight: false, ..hiding() });
    assert_eq!(world.send(&get(&format!("/a?x=1&apikey={KEY}"))).upstream().path, "/a?x=1");
    assert_eq!(world.send(&get("/a?apikey=wrong")).status(), 401);
    assert_eq!(world.send(&get("/a")).status(), 401);
    assert_eq!(world.send(&crate::support::request("OPTIONS", "/a")).status(), 200);
}

#[test]
fn a_route_that_changes_the_path_keeps_its_change_when_the_key_is_hidden() {
    let mut world = World::with(Quirks::kong(), hiding());
    let request =
        get(&format!("/public/a?x=1&apikey={KEY}")).upstream_uri(&format!("/private/a?x=1&apikey={KEY}"));
    assert_eq!(world.send(&request).upstream().path, "/private/a?x=1");
}

#[test]
fn a_key_in_the_header_is_hidden_from_the_query_as_well() {
    for mut world in World::each(&hiding()) {
        let outcome = world.send(&get(&format!("/a?apikey={KEY}&x=1")).header("apikey", KEY));
        assert_eq!(outcome.upstream().path, "/a?x=1");
    }
}

#[test]
fn a_path_stays_byte_for_byte_where_nothing_is_to_hide() {
    let path = "/a%20b/%ff//;p?q=%zz&x=+&&=&?";
    for mut world in World::each(&hiding()) {
        assert_eq!(world.send(&get(path).header("apikey", KEY)).upstream().path, path);
    }
    for mut world in World::each(&KeyAuthConfig::default()) {
        let path = format!("/a?x&apikey={KEY}&");
        assert_eq!(world.send(&get(&path)).upstream().path, path);
    }
}

#[test]
fn a_key_is_decoded_before_it_is_looked_up() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        world.admin.credential("a key+with/signs", crate::support::caller(2));
        world.follow();
        assert_eq!(world.send(&get("/?apikey=a+key%2Bwith%2fsigns")).status(), 200);
        assert_eq!(world.send(&with_key("a key+with/signs")).status(), 200);
        assert_eq!(world.send(&with_key("a+key%2Bwith%2fsigns")).status(), 401);
    }
}

#[test]
fn an_argument_without_a_value_is_no_key() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        assert_eq!(world.send(&get("/?apikey")).status(), 401);
        assert_eq!(world.send(&get("/?")).status(), 401);
        assert_eq!(world.send(&get("")).status(), 401);
        assert_eq!(world.send(&get("*")).status(), 401);
    }
}
