package socket

import (
	"net"
	"os"
	"syscall"
	"time"
)

// Poller waits for many sockets at once. A socket in a Poller needs no goroutine.
//
// Each registration reports one event: input, the end of the stream or an error.
// After that the socket stays silent until Rearm. All methods may be called
// concurrently.
//
// A Poller is an epoll instance. The runtime's own poller waits for that instance, so
// Wait blocks a goroutine and no thread.
type Poller struct {
	file *os.File // the epoll instance; its reference count keeps the descriptor open during a call
	raw  syscall.RawConn

	// RawConn.Read runs one callback at a time, so events needs no lock.
	events [128]syscall.EpollEvent
}

// NewPoller returns a Poller, which has one descriptor until Close. The error is
// errors.ErrUnsupported on a system without epoll.
func NewPoller() (*Poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// os.NewFile hands only a nonblocking descriptor to the runtime's poller.
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &Poller{file: os.NewFile(uintptr(fd), "epoll")}
	// A deadline can be set only if the runtime's poller has accepted the descriptor.
	err = p.file.SetReadDeadline(time.Time{})
	if err == nil {
		p.raw, err = p.file.SyscallConn()
	}
	if err != nil {
		_ = p.file.Close()
		return nil, err
	}
	return p, nil
}

// Add registers a socket for one event. Wait reports that event as id, also if its cause
// is older than Add. The kernel removes a socket that is closed.
func (p *Poller) Add(socket syscall.RawConn, id uint64) error {
	return p.control(syscall.EPOLL_CTL_ADD, socket, id)
}

// Rearm registers a socket of p for one more event, under the same or another id.
// Wait reports at once input that is still unread.
func (p *Poller) Rearm(socket syscall.RawConn, id uint64) error {
	return p.control(syscall.EPOLL_CTL_MOD, socket, id)
}

// Remove removes a socket from p. A Wait that runs at the same time may still report its
// event.
func (p *Poller) Remove(socket syscall.RawConn) error {
	return p.control(syscall.EPOLL_CTL_DEL, socket, 0)
}

func (p *Poller) control(op int, socket syscall.RawConn, id uint64) error {
	event := syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT,
		Fd:     int32(id),
		Pad:    int32(id >> 32),
	}
	var errSocket, errControl error
	if p.raw.Control(func(epfd uintptr) {
		errSocket = socket.Control(func(fd uintptr) {
			errControl = os.NewSyscallError("epoll_ctl", syscall.EpollCtl(int(epfd), op, int(fd), &event))
		})
	}) != nil {
		return net.ErrClosed
	}
	if errSocket != nil {
		return errSocket
	}
	return errControl
}

// Wait blocks until sockets are ready and stores their ids. It returns how many: at
// least one, at most len(ids). After Close it returns net.ErrClosed.
func (p *Poller) Wait(ids []uint64) (n int, err error) {
	if len(ids) == 0 {
		return 0, syscall.EINVAL
	}
	var errWait error
	if p.raw.Read(func(fd uintptr) bool {
		n, errWait = syscall.EpollWait(int(fd), p.events[:min(len(ids), len(p.events))], 0)
		if errWait != nil {
			n = 0
			return errWait != syscall.EINTR
		}
		for i, e := range p.events[:n] {
			ids[i] = uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
		}
		return n > 0
	}) != nil {
		return 0, net.ErrClosed
	}
	return n, os.NewSyscallError("epoll_wait", errWait)
}

// Close releases the descriptor. A blocked Wait returns net.ErrClosed.
func (p *Poller) Close() error {
	if p.file.Close() != nil {
		return net.ErrClosed
	}
	return nil
}
