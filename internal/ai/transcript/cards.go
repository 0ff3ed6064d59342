package transcript

// The numbers of digits that a payment card's number has (ISO/IEC 7812-1).
const (
	minCard = 13
	maxCard = 19
)

// cards finds the numbers of payment cards: digits, alone or in groups, with
// the right check digit.
func cards(text string) (out []span) {
	for i := 0; i < len(text); {
		if !isDigit(text[i]) {
			i++
			continue
		}
		groups := groupsAt(text, i)
		for first := range groups {
			if end := cardAt(text, groups[first:]); end > 0 {
				out = append(out, span{groups[first].start, end})
			}
		}
		i = groups[len(groups)-1].end
	}
	return out
}

// groupsAt returns the groups of digits from i on that have single spaces or
// hyphens between them.
func groupsAt(text string, i int) (out []span) {
	for {
		g := span{i, i}
		for g.end < len(text) && isDigit(text[g.end]) {
			g.end++
		}
		if g.start == g.end {
			return out
		}
		out = append(out, g)
		if g.end == len(text) || text[g.end] != ' ' && text[g.end] != '-' {
			return out
		}
		i = g.end + 1
	}
}

// cardAt returns where a card's number ends that the first of groups begins; 0:
// none does.
func cardAt(text string, groups []span) int {
	digits := make([]byte, 0, maxCard)
	for _, g := range groups {
		if len(digits)+g.end-g.start > maxCard {
			return 0
		}
		for _, c := range []byte(text[g.start:g.end]) {
			digits = append(digits, c-'0')
		}
		// No issuer of payment cards has numbers that begin otherwise: most times
		// and identifiers do.
		if len(digits) >= minCard && digits[0] >= 2 && digits[0] <= 6 && luhn(digits) {
			return g.end
		}
	}
	return 0
}

// luhn says whether the last digit is the right check digit of the others.
func luhn(digits []byte) bool {
	sum := 0
	for i, d := range digits {
		n := int(d)
		if (len(digits)-i)%2 == 0 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}
