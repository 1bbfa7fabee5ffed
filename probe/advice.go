package probe

import "time"

// A Suspect is a product whose default idle timeout is known.
type Suspect struct {
	Timeout time.Duration
	Name    string
}

var suspects = []Suspect{
	{55 * time.Second, "the router of Heroku"},
	{60 * time.Second, "nginx (proxy_read_timeout) or an AWS Application Load Balancer"},
	{100 * time.Second, "Cloudflare"},
	{4 * time.Minute, "an Azure Load Balancer"},
	{350 * time.Second, "an AWS Network Load Balancer or NAT gateway"},
}

// Suspects returns the products that may have ended the connections. Their default timeout is
// that of the result, within 3 %. There are none for a search that has left a wide range.
func (r IdleResult) Suspects() (found []Suspect) {
	if r.Failed == 0 || r.Failed > r.Survived*11/10 {
		return nil
	}
	for _, s := range suspects {
		if s.Timeout >= r.Survived*97/100 && s.Timeout <= r.Failed*103/100 {
			found = append(found, s)
		}
	}
	return found
}

// PingInterval returns a ping interval that keeps a connection alive, even if one ping is
// lost: half of the shortest silence. It is 0 if no result has a timeout, or if no silence
// was survived.
func PingInterval(results ...IdleResult) time.Duration {
	var least time.Duration
	for _, r := range results {
		if r.Failed > 0 && (least == 0 || r.Survived < least) {
			least = r.Survived
		}
	}
	if half := least / 2; half > 2*time.Second {
		return half.Truncate(time.Second)
	}
	return (least / 2).Truncate(time.Millisecond)
}
