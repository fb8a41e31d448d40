package main

// check is one capture and what another project's test finds in it.
type check struct {
	name    string
	capture string
	keys    string   // key log, or empty
	want    []string // facts, each to be found once for each time that it is here; * is any text
	golden  string   // file of Community IDs, in the place of want
	skip    string   // why it can't be judged yet
}

// Reasons to skip.
const (
	noRSA    = "needs an RSA private key"
	noPSK    = "needs a pre-shared key"
	noDTLS   = "is DTLS"
	noQUIC   = "is QUIC"
	noOldTLS = "is older than TLS 1.2"
	noDraft  = "is a draft of TLS 1.3"
)

// checks follow the tests of Wireshark 4.4's suites for decryption, dissection and streams.
var checks = []check{
	{name: "dtls_rsa", capture: "snakeoil-dtls.pcap", skip: noDTLS},
	{name: "dtls_psk_aes128ccm8", capture: "dtls12-aes128ccm8.pcap", skip: noDTLS},
	{name: "dtls_dsb_aes128ccm8", capture: "dtls12-aes128ccm8-dsb.pcapng", skip: noDTLS},
	{name: "dtls_udt", capture: "udt-dtls.pcapng.gz", skip: noDTLS},
	{name: "tls_rsa", capture: "rsasnakeoil2.pcap", skip: noRSA},
	{name: "tls_rsa_pq", capture: "rsa-p-lt-q.pcap", skip: noRSA},
	{name: "tls_rsa_with_password", capture: "dmgr.pcapng", skip: noRSA},
	{name: "tls_master_secret", capture: "dhe1.pcapng.gz", skip: noOldTLS},
	{name: "tls12_renegotiation", capture: "tls-renegotiation.pcap", skip: noRSA},
	{name: "tls12_psk_aes128ccm", capture: "tls12-aes128ccm.pcap", skip: noPSK},
	{name: "tls12_psk_aes256gcm", capture: "tls12-aes256gcm.pcap", skip: noPSK},
	{name: "tls12_chacha20poly1305", capture: "tls12-chacha20poly1305.pcap", keys: "tls12-chacha20poly1305.keys", want: []string{
		"body *Cipher is ECDHE-ECDSA-CHACHA20-POLY1305*", "body *Cipher is ECDHE-RSA-CHACHA20-POLY1305*", "body *Cipher is DHE-RSA-CHACHA20-POLY1305*",
		"body *Cipher is RSA-PSK-CHACHA20-POLY1305*", "body *Cipher is DHE-PSK-CHACHA20-POLY1305*", "body *Cipher is ECDHE-PSK-CHACHA20-POLY1305*",
		"body *Cipher is PSK-CHACHA20-POLY1305*",
	}},
	{name: "tls13_chacha20poly1305", capture: "tls13-20-chacha20poly1305.pcap", skip: noDraft},
	{name: "tls13_rfc8446", capture: "tls13-rfc8446.pcap", keys: "tls13-rfc8446.keys", want: []string{
		"http GET /first 200", "body Request for /first, version TLSv1.3, Early data: no\n", "http GET /early 200", "body *Early data: yes\n",
		"http GET /second 200", "body Request for /second, version TLSv1.3, Early data: yes\n",
	}},
	{name: "tls13_rfc8446_noearly", capture: "tls13-rfc8446.pcap", keys: "tls13-rfc8446-noearly.keys", want: []string{
		"http GET /first 200", "body *Early data: yes\n", "http GET /second 200",
	}},
	{name: "tls12_dsb", capture: "tls12-dsb.pcapng", want: []string{"http HEAD example.com/ 200", "http HEAD example.net/ 200"}},
	{name: "tls_over_tls", capture: "tls-over-tls.pcapng.gz", skip: noRSA},
	{name: "http2_data_reassembly", capture: "http2-data-reassembly.pcap", keys: "http2-data-reassembly.keys", want: []string{
		"http GET 172.16.5.10/wireshark.png 200", "body *PNG*", "file image/png * complete",
	}},
	{name: "http2_brotli_decompression", capture: "http2-brotli.pcapng", want: []string{"body This is a test file for testing brotli decompression in Wireshark*"}},
	{name: "follow_http2_multistream", capture: "http2_follow_multistream.pcapng", want: []string{"http GET *.mozilla.org/media/js/firefox_firstrun-bundle* 200"}},
	{name: "follow_quic_multistream", capture: "quic_follow_multistream.pcapng", skip: noQUIC},
	{name: "sharkd_follow_http2", capture: "quic-with-secrets.pcapng", want: []string{"http GET cloudflare-quic.com/ 200", "tls yes TLS 1.3 TLS_AES_128_GCM_SHA256"}},
	{name: "quic_tls_handshake_reassembly", capture: "quic-fragmented-handshakes.pcapng.gz", skip: noQUIC},
	{name: "http3_qpack_reassembly", capture: "http3-qpack-reassembly-anon.pcapng", skip: noQUIC},
	{name: "tls_reassembly_over_tcp_reassembly", capture: "tls-fragmented-over-tcp-segmented.pcapng.gz", want: []string{"http POST reports.crashlytics.com/* *"}},
	{name: "tls_out_of_order", capture: "challenge01_ooo_stream.pcapng.gz", want: []string{
		"file image/* complete", "file image/* complete", "file image/* complete", "file image/* complete", "file image/* complete", "file image/* complete",
		"file image/* complete", "file image/* complete", "file image/* complete", "file image/* complete", "file image/* complete",
	}},
	{name: "tcp_out_of_order_http", capture: "http-ooo.pcap", want: []string{"http PUT /1 0", "http GET /2 0", "http PUT /3 0", "http PUT /4 0", "http PUT /5 0"}},
	{name: "tcp_out_of_order_dns", capture: "dns-ooo.pcap", want: []string{"dns A example.com NOERROR*"}},
	{name: "http_brotli", capture: "http-brotli.pcapng", want: []string{"body This is a test file for testing brotli decompression in Wireshark*"}},
	{name: "community_id", capture: "communityid.pcap.gz", golden: "communityid.txt"},
	{name: "websocket_unmasked", capture: "websocket.pcapng.gz", want: []string{"websocket * text *"}},
	{name: "websocket_fragmented", capture: "websocket-fragmented.pcapng.gz", want: []string{"websocket * text *"}},
	{name: "websocket_compressed", capture: "websocket-compressed.pcapng.gz", want: []string{"websocket * text *"}},
	{name: "websocket_compressed_fragmented", capture: "websocket-compressed-fragmented.pcapng.gz", want: []string{"websocket * text *"}},
}
