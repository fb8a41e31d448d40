package state

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTokens(t *testing.T) {
	db, ctx := open(t), t.Context()
	ci := Token{Name: "ci", Role: Viewer, Created: noon}
	secret, want, err := db.NewToken(ctx, ci)
	must(t, err)
	if _, _, err := db.NewToken(ctx, ci); !errors.Is(err, ErrExists) {
		t.Errorf("second token of the name: %v", err)
	}
	got, err := db.TokenOf(ctx, secret, noon)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	tokens, err := db.Tokens(ctx, TokenScope{All: true})
	must(t, err)
	if len(tokens) != 1 || !tokens[0].LastUsed.Equal(noon) {
		t.Errorf("got %v", tokens)
	}
	for _, bad := range []string{"", "vitrine_", "vitrine_" + want.ID, "vitrine_" + want.ID + "_", secret + "x", strings.TrimPrefix(secret, "vitrine_")} {
		if _, err := db.TokenOf(ctx, bad, noon); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	must(t, db.RevokeToken(ctx, TokenScope{All: true}, want.ID))
	if _, err := db.TokenOf(ctx, secret, noon); !errors.Is(err, ErrNotFound) {
		t.Errorf("revoked: %v", err)
	}
	if err := db.RevokeToken(ctx, TokenScope{All: true}, want.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
}

func TestTokensExpire(t *testing.T) {
	db, ctx := open(t), t.Context()
	end := noon.Add(time.Hour)
	secret, _, err := db.NewToken(ctx, Token{Name: "ci", Role: Viewer, Created: noon, Expires: end})
	must(t, err)
	if _, err := db.TokenOf(ctx, secret, end.Add(-time.Microsecond)); err != nil {
		t.Errorf("before its end: %v", err)
	}
	if _, err := db.TokenOf(ctx, secret, end); !errors.Is(err, ErrNotFound) {
		t.Errorf("at its end: %v", err)
	}
	for _, tc := range []struct {
		now  time.Time
		want int
	}{{end.Add(-time.Microsecond), 1}, {end, 0}} {
		must(t, db.Prune(ctx, tc.now))
		if tokens, err := db.Tokens(ctx, TokenScope{All: true}); err != nil || len(tokens) != tc.want {
			t.Errorf("at %v: %v, %v", tc.now, tokens, err)
		}
	}
}

func TestTokensAreBounded(t *testing.T) {
	db, ctx := open(t), t.Context()
	for i := range MaxTokens {
		_, _, err := db.NewToken(ctx, Token{Name: strconv.Itoa(i), Role: Viewer, Created: noon})
		must(t, err)
	}
	if _, _, err := db.NewToken(ctx, Token{Name: "one more", Role: Viewer, Created: noon}); !errors.Is(err, ErrTooMany) {
		t.Errorf("got %v", err)
	}
	must(t, db.CreateUser(ctx, User{"ann", Viewer, noon}, "the password of ann"))
	if _, _, err := db.NewToken(ctx, Token{Name: "of another owner", Role: Viewer, Owner: "ann", Created: noon}); err != nil {
		t.Errorf("another owner: %v", err)
	}
	if _, _, err := db.RenewToken(ctx, Token{Name: "machine", Role: Viewer, Created: noon}); err != nil {
		t.Errorf("renewal: %v", err)
	}
}

// family makes a token of ann, one that was made with it, one that was made with that one, and one of the machine.
func family(t *testing.T, db *DB) map[string]Token {
	t.Helper()
	must(t, db.CreateUser(t.Context(), User{"root", Admin, noon}, "the password of root"))
	must(t, db.CreateUser(t.Context(), User{"ann", Analyst, noon}, "the password of ann"))
	made := map[string]Token{}
	for _, f := range []struct{ name, owner, parent string }{{"a", "ann", ""}, {"b", "ann", "a"}, {"c", "ann", "b"}, {"m", "", ""}} {
		_, token, err := db.NewToken(t.Context(), Token{Name: f.name, Role: Viewer, Owner: f.owner, Parent: made[f.parent].ID, Created: noon})
		must(t, err)
		made[f.name] = token
	}
	return made
}

func names(t *testing.T, db *DB, s TokenScope) (out []string) {
	t.Helper()
	tokens, err := db.Tokens(t.Context(), s)
	must(t, err)
	for _, token := range tokens {
		out = append(out, token.Name)
	}
	return out
}

func TestTokenScopes(t *testing.T) {
	db := open(t)
	made := family(t, db)
	for _, tc := range []struct {
		name  string
		scope TokenScope
		want  []string
	}{
		{"all", TokenScope{All: true}, []string{"a", "b", "c", "m"}},
		{"an account", TokenScope{Owner: "ann"}, []string{"a", "b", "c"}},
		{"an account without any", TokenScope{Owner: "root"}, nil},
		{"a token", TokenScope{Token: made["b"].ID}, []string{"b", "c"}},
		{"nothing", TokenScope{}, nil},
	} {
		if got := names(t, db, tc.scope); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
		if !slices.Contains(tc.want, "m") {
			if err := db.RevokeToken(t.Context(), tc.scope, made["m"].ID); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s revokes what is not in it: %v", tc.name, err)
			}
		}
	}
}

func TestTokensEndWithWhatTheyComeFrom(t *testing.T) {
	t.Run("a token", func(t *testing.T) {
		db := open(t)
		made := family(t, db)
		must(t, db.RevokeToken(t.Context(), TokenScope{Owner: "ann"}, made["a"].ID))
		if got := names(t, db, TokenScope{All: true}); !slices.Equal(got, []string{"m"}) {
			t.Errorf("left are %q", got)
		}
	})
	t.Run("an account", func(t *testing.T) {
		db := open(t)
		family(t, db)
		must(t, db.DeleteUser(t.Context(), "ann"))
		if got := names(t, db, TokenScope{All: true}); !slices.Equal(got, []string{"m"}) {
			t.Errorf("left are %q", got)
		}
	})
}

func TestRenewedTokenKeepsThoseMadeWithIt(t *testing.T) {
	db, ctx := open(t), t.Context()
	machine := Token{Name: "machine", Role: Viewer, Created: noon}
	old, parent, err := db.RenewToken(ctx, machine)
	must(t, err)
	child, _, err := db.NewToken(ctx, Token{Name: "child", Role: Viewer, Parent: parent.ID, Created: noon})
	must(t, err)
	machine.Role, machine.Created = Admin, noon.Add(time.Hour)
	secret, renewed, err := db.RenewToken(ctx, machine)
	must(t, err)
	if _, err := db.TokenOf(ctx, old, noon); !errors.Is(err, ErrNotFound) {
		t.Errorf("the old secret: %v", err)
	}
	got, err := db.TokenOf(ctx, secret, noon)
	must(t, err)
	if diff := cmp.Diff(renewed, got); diff != "" || got.Role != Admin {
		t.Errorf("%s %s", got.Role, diff)
	}
	if got, err := db.TokenOf(ctx, child, noon); err != nil || got.Parent != renewed.ID {
		t.Errorf("the child: %+v, %v", got, err)
	}
}
