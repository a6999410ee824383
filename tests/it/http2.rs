//! HTTP/2, frame by frame: what no honest client sends.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    house::{House, SUPPORT},
    listener::closed,
};

/// A frame of HTTP/2.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

#[tokio::test]
async fn a_flood_of_requests_that_are_reset_ends_the_connection() {
    let house = House::start().await;
    let mut flood = opening();
    // GET http://localhost/, in the compression of its headers.
    let head = b"\x82\x86\x84\x41\x09localhost";
    for stream in (1..4000).step_by(2) {
        flood.extend(frame(1, 0x05, stream, head));
        flood.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
    }
    let mut socket = house.socket().await;
    let _ = socket.write_all(&flood).await;
    timeout(Duration::from_secs(10), closed(socket))
        .await
        .expect("the connection to be ended");
    assert_eq!(house.agent(SUPPORT).status().await, 200);
}

#[tokio::test]
async fn an_answer_over_http2_that_nobody_takes_ends_the_connection() {
    let house = House::with(|setup| {
        setup.set("server.write_timeout", "2s");
    })
    .await;
    let mut request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // There is no room for a byte of an answer.
    request.extend(frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]));
    let head = b"\x82\x86\x44\x06/livez\x41\x09localhost";
    request.extend(frame(1, 0x05, 1, head));
    let mut socket = house.socket().await;
    socket.write_all(&request).await.unwrap();
    let began = std::time::Instant::now();
    timeout(Duration::from_secs(15), closed(socket))
        .await
        .expect("the connection to be ended");
    assert!(
        began.elapsed() > Duration::from_secs(1),
        "not for another reason"
    );
}

/// A connection begins.
pub(crate) fn opening() -> Vec<u8> {
    let mut opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    opening.extend(frame(4, 0, 0, &[]));
    opening
}

/// A stream of events on stream 1, which goes on as long as the connection does.
async fn with_a_stream(house: &House) -> TcpStream {
    let mut head = b"\x82\x86\x44\x04/sse\x41\x09localhost\x00\x09x-api-key".to_vec();
    let key = house.keys[SUPPORT].as_bytes();
    head.push(u8::try_from(key.len()).unwrap());
    head.extend(key);
    let mut socket = house.socket().await;
    let request = [opening(), frame(1, 0x05, 1, &head)].concat();
    socket.write_all(&request).await.unwrap();
    let mut heard = Vec::new();
    while !heard.windows(9).any(|some| some == b"/messages") {
        let read = timeout(Duration::from_secs(20), socket.read_buf(&mut heard));
        assert!(read.await.unwrap().unwrap() > 0, "{heard:?}");
    }
    socket
}

#[tokio::test]
async fn a_half_sent_head_has_its_deadline_while_another_request_goes_on() {
    let house = House::with(|setup| {
        setup.set("server.header_timeout", "1s");
    })
    .await;
    let head = b"\x82\x86\x44\x06/livez\x41\x09localhost";
    let unfinished = frame(1, 0x01, 3, head);
    let whole = frame(1, 0x05, 3, head);
    for (n, half) in [unfinished, whole[..whole.len() - 4].to_vec()]
        .iter()
        .enumerate()
    {
        let mut socket = with_a_stream(&house).await;
        // Longer than a head may take: the stream itself is let be.
        let quiet = timeout(Duration::from_millis(2500), closed_by(&mut socket)).await;
        assert!(quiet.is_err(), "{n}: the connection of a stream was closed");
        socket.write_all(half).await.unwrap();
        timeout(Duration::from_secs(10), closed(socket))
            .await
            .expect("the connection to be ended");
    }
}

/// Kind, flags and payload of every frame until a ping is answered.
async fn until_pong(socket: &mut TcpStream) -> Vec<(u8, u8, Vec<u8>)> {
    socket.write_all(&frame(6, 0, 0, &[7; 8])).await.unwrap();
    let mut frames = Vec::new();
    while frames
        .last()
        .is_none_or(|(kind, flags, _)| (*kind, *flags) != (6, 1))
    {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        socket.read_exact(&mut payload).await.unwrap();
        frames.push((head[3], head[4], payload));
    }
    frames
}

#[tokio::test]
async fn who_is_refused_before_its_body_has_come_hears_why() {
    let house = House::start().await;
    // POST http://localhost/mcp, without a credential.
    let head = b"\x83\x86\x44\x04/mcp\x41\x09localhost";
    let mut socket = house.socket().await;
    let request = [opening(), frame(1, 0x04, 1, head)].concat();
    socket.write_all(&request).await.unwrap();
    // Longer than the refusal takes.
    tokio::time::sleep(Duration::from_millis(200)).await;
    socket.write_all(&frame(0, 0x01, 1, b"{}")).await.unwrap();
    let mut frames = until_pong(&mut socket).await;
    while !frames.iter().any(|(kind, ..)| *kind == 0) {
        frames.extend(until_pong(&mut socket).await);
    }
    // A reset would come behind the answer.
    frames.extend(until_pong(&mut socket).await);
    let text = frames.iter().filter(|(kind, ..)| *kind == 0);
    let text: Vec<u8> = text.flat_map(|(.., payload)| payload.clone()).collect();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("error"), "{text}");
    let is_reset = frames.iter().any(|(kind, ..)| *kind == 3);
    assert!(!is_reset, "{frames:?}");
}

async fn closed_by(socket: &mut TcpStream) {
    let mut sink = [0; 1024];
    while matches!(socket.read(&mut sink).await, Ok(1..)) {}
}

#[tokio::test]
async fn a_flood_of_frames_that_ask_for_nothing_ends_the_connection() {
    let house = House::start().await;
    let floods = [
        ("pings", frame(6, 0, 0, &[7; 8])),
        ("settings", frame(4, 0, 0, &[])),
        ("priorities", frame(2, 0, 1, &[0, 0, 0, 0, 1])),
        ("unknown frames", frame(0xbb, 0, 0, b"x")),
    ];
    for (what, frame) in floods {
        let (mut reader, mut writer) = with_a_stream(&house).await.into_split();
        let heard = async {
            let mut sink = vec![0; 64 << 10];
            while matches!(reader.read(&mut sink).await, Ok(1..)) {}
        };
        let flood = frame.repeat(15_000);
        let sent = writer.write_all(&flood);
        let _ = timeout(Duration::from_secs(30), async { tokio::join!(sent, heard) })
            .await
            .unwrap_or_else(|_| panic!("{what}: the connection goes on"));
    }
    let honest = house.agent(SUPPORT).list().await;
    assert_eq!(honest.status, 200);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let house = House::start().await;
    let mut head = b"\x82\x86\x44\x06/livez\x41\x09localhost".to_vec();
    for _ in 0..200 {
        // A field of 100 bytes, by the literal.
        head.extend(b"\x00\x01x\x64");
        head.extend([b'y'; 100]);
    }
    let (first, rest) = head.split_at(16_000);
    let request = [
        opening(),
        frame(1, 0x01, 1, first),
        frame(9, 0x04, 1, rest),
        frame(1, 0x05, 3, b"\x82\x86\x44\x06/livez\x41\x09localhost"),
    ];
    let mut socket = house.socket().await;
    socket.write_all(&request.concat()).await.unwrap();
    let mut heard = Vec::new();
    // The next request is answered, so that the first was refused alone.
    while !heard.windows(2).any(|some| some == b"ok") {
        let read = timeout(Duration::from_secs(20), socket.read_buf(&mut heard));
        assert!(read.await.unwrap().unwrap() > 0, "{heard:?}");
    }
    assert_eq!(heard.windows(2).filter(|some| *some == b"ok").count(), 1);
}

#[tokio::test]
async fn a_client_is_told_how_much_it_may_ask_at_once() {
    let house = House::start().await;
    let mut socket = house.socket().await;
    socket.write_all(&opening()).await.unwrap();
    let mut head = [0; 9];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "the first frame has the settings");
    let mut settings = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    socket.read_exact(&mut settings).await.unwrap();
    let value = |wanted: u8| {
        let mut all = settings.chunks_exact(6);
        let found = all.find(|setting| setting[1] == wanted).unwrap();
        u32::from_be_bytes(found[2..].try_into().unwrap())
    };
    assert_eq!(value(3), 128, "requests at once");
    assert_eq!(value(6), 16 << 10, "bytes of a head");
}
