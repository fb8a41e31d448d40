package config

// Nearest returns the known word that name was probably meant to be.
func Nearest(name string, known []string) (best string, ok bool) {
	limit := len(name)/3 + 1
	for _, k := range known {
		if d := distance(name, k); d <= limit {
			best, limit, ok = k, d-1, true
		}
	}
	return best, ok
}

// distance counts the insertions, deletions and replacements of bytes that turn a into b (Levenshtein 1966).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
