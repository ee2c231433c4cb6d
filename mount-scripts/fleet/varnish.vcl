vcl 4.1;

# A site-wide cache for aiozfs mounts: Varnish in front of a trustless gateway.
# doc/FLEET.md explains it. Start: varnishd -f varnish.vcl -s file,/var/cache/varnish/aiozfs,200G -a :8080
#
# Varnish without paid modules has no slices: to answer a range it fetches the whole file. So it serves raw blocks
# alone. Each is at most 2 MiB, is verified by its own CID, and never changes. aiozfs takes content as blocks from a
# gateway that refuses ranges with 501.

# CHANGE: the gateway that gives raw blocks.
backend gateway {
    .host = "127.0.0.1";
    .port = "8081";
    .connect_timeout = 5s;
    .first_byte_timeout = 60s;
    .between_bytes_timeout = 60s;
}

sub vcl_recv {
    if (req.method != "GET" && req.method != "HEAD") {
        return (synth(405));
    }
    # The form: ?format= counts before Accept, as the specification of trustless gateways has it.
    if (req.url ~ "^/ipfs/[^/?]+(\?format=raw)?$" &&
        (req.url ~ "\?format=raw$" || req.http.Accept ~ "application/vnd\.ipld\.raw")) {
        # One name for a block, whatever a client sent besides.
        set req.url = regsub(req.url, "\?.*$", "") + "?format=raw";
        set req.http.Accept = "application/vnd.ipld.raw";
        unset req.http.Authorization;
        unset req.http.Cookie;
        unset req.http.Range;
        # A client that got wrong bytes asks again with no-cache. The new answer replaces the cached one.
        if (req.http.Cache-Control ~ "(?i)no-cache") {
            set req.hash_always_miss = true;
        }
        return (hash);
    }
    if (req.url ~ "^/ipns/") {
        unset req.http.Authorization;
        return (pass);
    }
    return (synth(501, "Raw blocks only"));
}

sub vcl_hash {
    # The Host header says how a client calls this cache, not what it asks for.
    hash_data(req.url);
    return (lookup);
}

sub vcl_backend_response {
    if (bereq.url ~ "^/ipfs/" && beresp.status == 200) {
        # Content under a CID never changes.
        set beresp.ttl = 365d;
        set beresp.grace = 365d;
        unset beresp.http.Set-Cookie;
        unset beresp.http.Vary;
    } else {
        # Errors are not shared: another try may succeed.
        set beresp.uncacheable = true;
        set beresp.ttl = 0s;
    }
    return (deliver);
}

sub vcl_deliver {
    if (obj.hits > 0) {
        set resp.http.X-Cache-Status = "HIT";
    } else {
        set resp.http.X-Cache-Status = "MISS";
    }
}
