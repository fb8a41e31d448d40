package detect

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// Activity is what somebody does with a service.
type Activity string

const (
	Browse   Activity = "browse"
	Download Activity = "download"
	Upload   Activity = "upload"
	Post     Activity = "post"
	Login    Activity = "login"
	API      Activity = "api"
)

// activities is a set of them.
type activities uint8

var activityOrder = []Activity{Browse, Download, Upload, Post, Login, API}

var activityBits = func() map[Activity]activities {
	bits := map[Activity]activities{}
	for i, a := range activityOrder {
		bits[a] = 1 << i
	}
	return bits
}()

func (s activities) names() (all []string) {
	for i, a := range activityOrder {
		if s&(1<<i) != 0 {
			all = append(all, string(a))
		}
	}
	return all
}

// generic finds out what is done by what every service has in common.
func generic(q *question) activities {
	var did activities
	for _, s := range []struct {
		activity Activity
		seen     func(*question) bool
	}{{Login, isLogin}, {API, isAPI}, {Download, isDownload}} {
		if s.seen(q) {
			did |= activityBits[s.activity]
		}
	}
	switch {
	case isUpload(q):
		return did | activityBits[Upload]
	case writes(q):
		return did | activityBits[Post]
	case did == 0:
		return activityBits[Browse]
	}
	return did
}

// writes tells whether the method is one that hands something over.
func writes(q *question) bool {
	return slices.ContainsFunc([]string{"POST", "PUT", "PATCH"}, func(m string) bool { return strings.EqualFold(m, q.http.Method) }) ||
		q.hasHeader("transfer-encoding") || q.header("content-length") != "" && q.header("content-length") != "0"
}

// mayUpload tells whether it takes some of the body to know what is done: how long it is was not said.
func mayUpload(q *question) bool {
	return q.stage == Head && writes(q) && q.header("content-length") == ""
}

// uploadHeaders are what resumable uploads and their like are known by.
var uploadHeaders = []string{"tus-resumable", "upload-offset", "upload-length", "content-range", "x-upload-content-length", "x-upload-content-type",
	"x-goog-upload-command", "x-goog-upload-protocol", "x-file-name", "x-file-size", "dropbox-api-arg", "x-amz-content-sha256"}

// How long a body is that is taken for a file in disguise: one whose length was said before, and one that just goes on, of which no more
// is seen before it is judged.
const (
	manyBytes    = 256 << 10
	unsizedBytes = 32 << 10
)

// isUpload tells whether a request carries a file: by PUT, in a form that can hold files, in a resumable upload, as a body that is
// neither a form nor text, or as one that is too long for what people type.
func isUpload(q *question) bool {
	if !writes(q) {
		return false
	}
	length, err := strconv.ParseUint(q.header("content-length"), 10, 63)
	sized := err == nil
	switch kind := mediaType(q.header("content-type")); {
	case slices.ContainsFunc(uploadHeaders, q.hasHeader), sized && length >= manyBytes, q.stage > Head && !sized && q.http.Request.Size >= unsizedBytes:
		return true
	case sized && length == 0:
		return false
	case kind == "multipart/form-data", kind == "multipart/related":
		return true
	default:
		return !isTyped(kind) && (strings.EqualFold(q.http.Method, "PUT") || kind != "")
	}
}

// isTyped tells whether a body is what programs and people say, and no file.
func isTyped(kind string) bool {
	return kind == "application/x-www-form-urlencoded" || strings.HasSuffix(kind, "json") || strings.HasSuffix(kind, "xml") || kind == "text/plain" ||
		strings.HasPrefix(kind, "application/grpc") || kind == "application/x-protobuf" || kind == "application/graphql" || kind == "application/csp-report" ||
		kind == "application/ocsp-request" || kind == "application/dns-message"
}

func mediaType(value string) string {
	kind, _, _ := strings.Cut(value, ";")
	return strings.TrimSpace(kind)
}

// fileEnds are those of names that are fetched to be kept.
var fileEnds = []string{".zip", ".7z", ".rar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".tar", ".iso", ".img", ".exe", ".msi", ".dmg", ".pkg", ".deb", ".rpm", ".apk",
	".jar", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".odt", ".ods", ".pdf", ".csv", ".sql", ".db", ".bak"}

// isDownload goes by the name that is asked for and, once there is an answer, by whether that is an attachment.
func isDownload(q *question) bool {
	if q.http.Method != "GET" {
		return false
	}
	if q.http.Response != nil {
		for v := range values(q.http.Response.Headers, "content-disposition") {
			if strings.HasPrefix(strings.ToLower(v), "attachment") {
				return true
			}
		}
	}
	t := &q.at[0]
	return slices.Contains(fileEnds, path.Ext(t.Paths[len(t.Paths)-1])) || slices.ContainsFunc(strings.Split(t.Query, "&"), func(p string) bool {
		return slices.Contains([]string{"dl=1", "download=1", "download=true", "export=download", "download", "alt=media"}, p)
	})
}

var loginWords = []string{"login", "log-in", "log_in", "signin", "sign-in", "sign_in", "sso", "logon", "authenticate", "oauth", "oauth2", "saml", "saml2"}

// isLogin goes by the words of the path and, once it was seen, by a password in a form.
func isLogin(q *question) bool {
	if q.http.Method != "POST" {
		return false
	}
	t := &q.at[0]
	for _, segment := range strings.Split(t.Paths[len(t.Paths)-1], "/") {
		if word, _, _ := strings.Cut(segment, "."); slices.Contains(loginWords, word) {
			return true
		}
	}
	return q.stage > Head && mediaType(q.header("content-type")) == "application/x-www-form-urlencoded" && hasPassword(string(q.http.Request.Body))
}

func hasPassword(form string) bool {
	for pair := range strings.SplitSeq(form, "&") {
		name, _, _ := strings.Cut(strings.ToLower(pair), "=")
		if strings.Contains(name, "password") || strings.Contains(name, "passwd") || name == "pwd" || name == "pass" {
			return true
		}
	}
	return false
}

// isAPI tells whether a program asks, or a page on somebody's behalf.
func isAPI(q *question) bool {
	t := &q.at[0]
	for _, segment := range strings.Split(t.Paths[len(t.Paths)-1], "/") {
		if segment == "api" || segment == "graphql" || segment == "rpc" || len(segment) == 2 && segment[0] == 'v' && '1' <= segment[1] && segment[1] <= '9' {
			return true
		}
	}
	kind := mediaType(q.header("content-type"))
	return strings.HasPrefix(t.Host, "api.") || strings.HasSuffix(kind, "json") || strings.HasPrefix(kind, "application/grpc")
}
