// Opens a listening socket, and hands it to the program of the arguments. Each line of the input hands it to one
// more file, which makes it blocking for all that have it (os.File of a net.TCPListener, since Go 1.0); the
// line "accept" accepts a connection too.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	handed, err := listener.(*net.TCPListener).File()
	check(err)
	script := "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=echo exec \"$@\""
	child := exec.Command("sh", append([]string{"-c", script, "sh"}, os.Args[1:]...)...)
	child.ExtraFiles = []*os.File{handed}
	child.Stdout = os.Stdout
	child.Stderr = os.Stderr
	check(child.Start())
	defer child.Process.Kill()
	check(handed.Close())
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if lines.Text() == "accept" {
			connection, err := listener.Accept()
			check(err)
			check(connection.Close())
			fmt.Println("accepted")
			continue
		}
		again, err := listener.(*net.TCPListener).File()
		check(err)
		check(again.Close())
		fmt.Println("handed on")
	}
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
