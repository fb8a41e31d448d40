package content

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"
)

// archive returns a zip archive with files of these names.
func archive(t *testing.T, names ...string) string {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, name := range names {
		name, body, _ := strings.Cut(name, "=")
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestType(t *testing.T) {
	const dos = "MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00\xb8\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00"
	for _, c := range []struct{ content, want string }{
		{"", ""},
		{"\x7fELF\x02\x01\x01", "application/x-elf"},
		{dos + "PE\x00\x00\x64\x86", "application/vnd.microsoft.portable-executable"},
		{dos + "no PE here", "application/x-msdos-program"},
		{"\xcf\xfa\xed\xfe\x07\x00\x00\x01", "application/x-mach-binary"},
		{"\xca\xfe\xba\xbe\x00\x00\x00\x02", "application/x-mach-binary"},
		{"\xca\xfe\xba\xbe\x00\x00\x00\x41", "application/java-vm"},
		{"dex\n035\x00", "application/vnd.android.dex"},
		{archive(t, "a.txt"), "application/zip"},
		{archive(t), "application/zip"},
		{archive(t, "[Content_Types].xml", "_rels/.rels", "word/document.xml"), "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{archive(t, "[Content_Types].xml", "xl/workbook.xml"), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
		{archive(t, "ppt/presentation.xml"), "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
		{archive(t, "META-INF/MANIFEST.MF"), "application/java-archive"},
		{archive(t, "AndroidManifest.xml"), "application/vnd.android.package-archive"},
		{archive(t, "mimetype=application/vnd.oasis.opendocument.text", "content.xml"), "application/vnd.oasis.opendocument.text"},
		{archive(t, "mimetype=text/evil", "content.xml"), "application/zip"},
		{"7z\xbc\xaf\x27\x1c\x00\x04", "application/x-7z-compressed"},
		{"Rar!\x1a\x07\x01\x00", "application/vnd.rar"},
		{strings.Repeat("\x00", 257) + "ustar\x0000", "application/x-tar"},
		{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"},
		{"%PDF-1.7\n", "application/pdf"},
		{"\x89PNG\r\n\x1a\n", "image/png"},
		{"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"},
		{"RIFF\x00\x00\x00\x00what", "application/octet-stream"},
		{"\x00\x00\x00\x20ftypavif", "image/avif"},
		{"\x00\x00\x00\x20ftypisom", "video/mp4"},
		{"BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00", "image/bmp"},
		{"BMW is a brand of cars", "text/plain"},
		{"#!/usr/bin/env python3\nprint()", "text/x-python"},
		{"#!/bin/bash\n", "text/x-shellscript"},
		{"\n<?PHP echo 1;", "text/x-php"},
		{"<?xml version=\"1.0\"?><a/>", "text/xml"},
		{"<?xml version=\"1.0\"?><svg xmlns=\"\"/>", "image/svg+xml"},
		{"  <!DOCTYPE HTML><p>", "text/html"},
		{"<html>", "text/html"},
		{"<htmlx>", "text/plain"},
		{"{\"a\": 1}", "application/json"},
		{"[1, 2]", "application/json"},
		{"[text]", "text/plain"},
		{"{text}", "text/plain"},
		{"words", "text/plain"},
		{"gr\xc3\xbc\xc3\x9fe", "text/plain"},
		{"\xff\xfeh\x00i\x00", "text/plain"},
		{"\x00\x01\x02\x03", "application/octet-stream"},
	} {
		if got := Type([]byte(c.content)); got != c.want {
			t.Errorf("%.40q is %q, want %q", c.content, got, c.want)
		}
	}
}

func FuzzType(f *testing.F) {
	for i := range signatures {
		f.Add([]byte(strings.Repeat("\x00", signatures[i].offset) + signatures[i].magic))
	}
	f.Add([]byte("MZ"))
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := Type(b); (got == "") != (len(b) == 0) {
			t.Errorf("%q is %q", b, got)
		}
	})
}
