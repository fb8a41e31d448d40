package content

import (
	"bytes"
	"encoding/binary"
)

// typeBytes is how much of the beginning tells the type.
const typeBytes = 4 << 10

const (
	plainText   = "text/plain"
	octetStream = "application/octet-stream"
)

// signatures are tried in order. What several formats share goes to a function below.
var signatures = []struct {
	offset int
	magic  string
	media  string
}{
	{0, "\x7fELF", "application/x-elf"},
	{0, "\xfe\xed\xfa\xce", "application/x-mach-binary"}, {0, "\xfe\xed\xfa\xcf", "application/x-mach-binary"},
	{0, "\xce\xfa\xed\xfe", "application/x-mach-binary"}, {0, "\xcf\xfa\xed\xfe", "application/x-mach-binary"},
	{0, "dex\n", "application/vnd.android.dex"},
	{0, "\x00asm", "application/wasm"},
	{0, "L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46", "application/x-ms-shortcut"},
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"},
	{0, "ITSF\x03\x00\x00\x00", "application/vnd.ms-htmlhelp"},
	{0, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", "application/onenote"},
	{0, "%PDF-", "application/pdf"}, {0, "\xef\xbb\xbf%PDF-", "application/pdf"},
	{0, "%!PS", "application/postscript"},
	{0, "{\\rtf", "application/rtf"},

	{0, "7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"},
	{0, "Rar!\x1a\x07", "application/vnd.rar"},
	{0, "\x1f\x8b", "application/gzip"},
	{0, "BZh", "application/x-bzip2"},
	{0, "\xfd7zXZ\x00", "application/x-xz"},
	{0, "\x28\xb5\x2f\xfd", "application/zstd"},
	{0, "\x04\x22\x4d\x18", "application/x-lz4"},
	{0, "MSCF\x00\x00\x00\x00", "application/vnd.ms-cab-compressed"},
	{0, "!<arch>\ndebian", "application/vnd.debian.binary-package"}, {0, "!<arch>\n", "application/x-archive"},
	{0, "\xed\xab\xee\xdb", "application/x-rpm"},
	{257, "ustar", "application/x-tar"},

	{0, "\x89PNG\r\n\x1a\n", "image/png"},
	{0, "\xff\xd8\xff", "image/jpeg"},
	{0, "GIF87a", "image/gif"}, {0, "GIF89a", "image/gif"},
	{0, "II*\x00", "image/tiff"}, {0, "MM\x00*", "image/tiff"},
	{0, "\x00\x00\x01\x00", "image/vnd.microsoft.icon"},
	{0, "8BPS\x00\x01", "image/vnd.adobe.photoshop"},
	{0, "\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"}, {0, "\xff\x0a", "image/jxl"},

	{0, "OggS\x00", "application/ogg"},
	{0, "fLaC", "audio/flac"},
	{0, "ID3", "audio/mpeg"},
	{0, "MThd\x00\x00\x00\x06", "audio/midi"},
	{0, "\x1aE\xdf\xa3", "video/x-matroska"},
	{0, "FLV\x01", "video/x-flv"},
	{0, "FWS", "application/x-shockwave-flash"}, {0, "CWS", "application/x-shockwave-flash"}, {0, "ZWS", "application/x-shockwave-flash"},

	{0, "wOFF", "font/woff"}, {0, "wOF2", "font/woff2"}, {0, "OTTO", "font/otf"}, {0, "\x00\x01\x00\x00\x00", "font/ttf"},
	{0, "SQLite format 3\x00", "application/vnd.sqlite3"},
	{0, "\xd4\xc3\xb2\xa1", "application/vnd.tcpdump.pcap"}, {0, "\xa1\xb2\xc3\xd4", "application/vnd.tcpdump.pcap"},
	{0, "\x0a\x0d\x0d\x0a", "application/x-pcapng"},
	{0, "-----BEGIN ", "application/x-pem-file"},
}

// Type names the media type of content by its first bytes, without parameters; it is empty for empty content.
func Type(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	b = b[:min(len(b), typeBytes)]
	for i := range signatures {
		s := &signatures[i]
		if len(b) >= s.offset+len(s.magic) && string(b[s.offset:s.offset+len(s.magic)]) == s.magic {
			return s.media
		}
	}
	for _, f := range [...]func([]byte) string{executable, cafebabe, zipped, riff, mp4, bitmap} {
		if media := f(b); media != "" {
			return media
		}
	}
	return text(b)
}

// executable tells a Windows program from what else begins with MZ, as far as its PE header is among the bytes.
func executable(b []byte) string {
	if !bytes.HasPrefix(b, []byte("MZ")) || len(b) < 64 {
		return ""
	}
	if at := int(binary.LittleEndian.Uint32(b[60:])); at >= 0 && at+4 <= len(b) && string(b[at:at+4]) == "PE\x00\x00" {
		return "application/vnd.microsoft.portable-executable"
	}
	return "application/x-msdos-program"
}

// cafebabe tells a Java class, whose version follows, from a Mach-O binary for several processors, whose number follows.
func cafebabe(b []byte) string {
	switch {
	case len(b) < 8 || string(b[:4]) != "\xca\xfe\xba\xbe":
		return ""
	case binary.BigEndian.Uint32(b[4:]) < 40: // the first version of class files was 45
		return "application/x-mach-binary"
	}
	return "application/java-vm"
}

// zipped tells what kind of zip archive it is by the names of its first files.
func zipped(b []byte) string {
	const (
		header       = "PK\x03\x04"
		headerLength = 30 // of a local file header, APPNOTE.TXT section 4.3.7
	)
	if string(b[:min(4, len(b))]) == "PK\x05\x06" {
		return "application/zip"
	}
	if !bytes.HasPrefix(b, []byte(header)) {
		return ""
	}
	for first := true; len(b) > headerLength; first = false {
		rest := b[headerLength:]
		name := rest[:min(int(binary.LittleEndian.Uint16(b[26:])), len(rest))]
		if first && string(name) == "mimetype" { // OpenDocument and EPUB name their type there, uncompressed
			if media := mediaName(rest[len(name):]); media != "" {
				return media
			}
		}
		for _, k := range [...]struct{ prefix, media string }{
			{"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
			{"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
			{"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
			{"AndroidManifest.xml", "application/vnd.android.package-archive"},
			{"META-INF/", "application/java-archive"},
		} {
			if bytes.HasPrefix(name, []byte(k.prefix)) {
				return k.media
			}
		}
		next := bytes.Index(rest, []byte(header))
		if next < 0 {
			break
		}
		b = rest[next:]
	}
	return "application/zip"
}

// mediaName returns the media type that b begins with.
func mediaName(b []byte) string {
	n := 0
	for n < len(b) && n < 100 && (b[n] >= 'a' && b[n] <= 'z' || b[n] >= '0' && b[n] <= '9' || bytes.IndexByte([]byte("/.+-"), b[n]) >= 0) {
		n++
	}
	if !bytes.HasPrefix(b, []byte("application/")) {
		return ""
	}
	return string(b[:n])
}

func riff(b []byte) string {
	if len(b) < 12 || string(b[:4]) != "RIFF" {
		return ""
	}
	switch string(b[8:12]) {
	case "WEBP":
		return "image/webp"
	case "WAVE":
		return "audio/wav"
	case "AVI ":
		return "video/x-msvideo"
	}
	return ""
}

// mp4 tells the formats that are built of ISO 14496-12 boxes by their brand.
func mp4(b []byte) string {
	if len(b) < 12 || string(b[4:8]) != "ftyp" {
		return ""
	}
	switch string(b[8:12]) {
	case "avif", "avis":
		return "image/avif"
	case "heic", "heix", "mif1":
		return "image/heic"
	case "M4A ":
		return "audio/mp4"
	case "qt  ":
		return "video/quicktime"
	}
	return "video/mp4"
}

func bitmap(b []byte) string {
	if len(b) >= 18 && string(b[:2]) == "BM" && binary.LittleEndian.Uint32(b[6:]) == 0 { // the reserved words
		return "image/bmp"
	}
	return ""
}
