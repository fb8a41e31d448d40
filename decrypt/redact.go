package decrypt

import "strconv"

func redacted(n int) string { return "REDACTED(" + strconv.Itoa(n) + " bytes)" }
