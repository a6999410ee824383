//! The PROXY protocol, version 2: a load balancer that passes bytes on says first from where they
//! come. <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>

use std::{io, net::IpAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Reads the header. `None` when the load balancer speaks for itself, as for a health check.
///
/// # Errors
/// What is not such a header, and what is longer than any load balancer's.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, BadHeader> {
    let mut preamble = [0; PREAMBLE];
    stream.read_exact(&mut preamble).await?;
    let mut rest = vec![0; length(&preamble)?];
    stream.read_exact(&mut rest).await?;
    source(&preamble, &rest)
}

/// Why a connection has no usable header.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BadHeader {
    #[error("the connection ended within the header")]
    Ended(#[from] io::Error),
    #[error("not a PROXY protocol header of version 2")]
    NotAHeader,
    #[error("the header is longer than {MAX} bytes")]
    TooLong,
    #[error("the header is too short for its addresses")]
    TooShort,
    #[error("the header is not about a TCP connection over IP")]
    NotTcp,
}

fn length(preamble: &[u8; PREAMBLE]) -> Result<usize, BadHeader> {
    let (Some(signature), Some([high, low])) =
        (preamble.first_chunk::<12>(), preamble.last_chunk::<2>())
    else {
        return Err(BadHeader::NotAHeader);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if signature != SIGNATURE {
        Err(BadHeader::NotAHeader)
    } else if length > MAX {
        Err(BadHeader::TooLong)
    } else {
        Ok(length)
    }
}

fn source(preamble: &[u8; PREAMBLE], rest: &[u8]) -> Result<Option<IpAddr>, BadHeader> {
    let [.., command, family, _, _] = preamble;
    match (command, family) {
        // A version 2 header that is not about another connection.
        (0x20, _) => Ok(None),
        (0x21, 0x11) if rest.len() >= 12 => {
            let v4 = rest.first_chunk::<4>().map(|&octets| IpAddr::from(octets));
            Ok(v4)
        }
        (0x21, 0x21) if rest.len() >= 36 => {
            let v6 = rest.first_chunk::<16>().map(|&octets| IpAddr::from(octets));
            Ok(v6.map(|ip| ip.to_canonical()))
        }
        (0x21, 0x11 | 0x21) => Err(BadHeader::TooShort),
        (0x21, _) => Err(BadHeader::NotTcp),
        _ => Err(BadHeader::NotAHeader),
    }
}

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const PREAMBLE: usize = 16;
/// Addresses take 36 bytes; load balancers add a few hundred of their own.
const MAX: usize = 2048;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(mut bytes: &[u8]) -> Result<Option<IpAddr>, BadHeader> {
        let read = read(&mut bytes);
        futures_util::FutureExt::now_or_never(read).expect("a slice never waits")
    }

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &length, rest].concat()
    }

    #[test]
    fn a_connection_is_from_where_the_header_says() {
        let v4 = [&[203, 0, 113, 7, 10, 0, 0, 1, 1, 2, 3, 4][..], b"more"].concat();
        assert_eq!(
            parse(&header(0x21, 0x11, &v4)).unwrap(),
            Some([203, 0, 113, 7].into())
        );
        let mut v6 = [0; 36];
        v6[..16].copy_from_slice(
            &"2001:db8::7"
                .parse::<std::net::Ipv6Addr>()
                .unwrap()
                .octets(),
        );
        assert_eq!(
            parse(&header(0x21, 0x21, &v6)).unwrap(),
            Some("2001:db8::7".parse().unwrap())
        );
        assert_eq!(parse(&header(0x20, 0x00, &[])).unwrap(), None);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        assert!(matches!(
            parse(b"GET /livez HTTP/1.1\r\n"),
            Err(BadHeader::NotAHeader)
        ));
        assert!(matches!(
            parse(&header(0x21, 0x11, &[1; 11])),
            Err(BadHeader::TooShort)
        ));
        assert!(matches!(
            parse(&header(0x21, 0x31, &[0; 216])),
            Err(BadHeader::NotTcp)
        ));
        assert!(matches!(
            parse(&header(0x11, 0x11, &[0; 12])),
            Err(BadHeader::NotAHeader)
        ));
        assert!(matches!(
            parse(&header(0x21, 0x11, &[0; 2049])),
            Err(BadHeader::TooLong)
        ));
        assert!(matches!(
            parse(&header(0x21, 0x11, &[0; 12])[..20]),
            Err(BadHeader::Ended(_))
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&bytes);
            let _ = parse(&[SIGNATURE.as_slice(), &bytes].concat());
        }
    }
}
