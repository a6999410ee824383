//! What a load balancer says of a client: its address, and the certificate that it has shown.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use zoho_mcp::listen::Proxies;
use zoho_mcp_fuzz::headers;

fuzz_target!(|bytes: &[u8]| {
    let names = [
        "x-forwarded-for",
        "x-amzn-mtls-clientcert",
        "x-amzn-mtls-clientcert-leaf",
    ];
    let headers = headers(bytes, &names);
    let proxies = Proxies::new(vec!["10.0.0.0/8".parse().expect("a network")], true);
    let (proxy, stranger) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([192, 0, 2, 1]));
    assert_eq!(proxies.client_ip(stranger, &headers), stranger);
    assert!(proxies.certificate(stranger, &headers).is_none());
    let ip = proxies.client_ip(proxy, &headers);
    assert_eq!(ip, ip.to_canonical());
    let certificate = proxies.certificate(proxy, &headers);
    let says = names[1..].iter().any(|name| headers.contains_key(*name));
    assert_eq!(certificate.is_some(), says, "what cannot be read is no certificate of nobody");
});
