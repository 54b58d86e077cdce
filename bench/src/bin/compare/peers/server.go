// The server in Go, on one thread: -mode echo|line|discard|udp -workers N.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
)

const space = 4096

func main() {
	mode := os.Args[2]
	if workers, err := strconv.Atoi(os.Args[4]); err == nil {
		runtime.GOMAXPROCS(workers)
	}
	if mode == "udp" {
		datagrams()
	}
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("Server is listening at %v\n", server.Addr())
	for {
		connection, err := server.Accept()
		if err != nil {
			continue
		}
		go serve(mode, connection)
	}
}

func serve(mode string, connection net.Conn) {
	defer connection.Close()
	switch mode {
	case "line":
		lines(connection)
	case "discard":
		discard(connection)
	default:
		echo(connection)
	}
}

func echo(connection net.Conn) {
	buffer := make([]byte, space)
	for {
		count, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err := connection.Write(buffer[:count]); err != nil {
			return
		}
	}
}

func lines(connection net.Conn) {
	input, output := bufio.NewReader(connection), bufio.NewWriter(connection)
	for {
		line, err := input.ReadSlice('\n')
		if err != nil {
			return
		}
		output.WriteString("Hello, ")
		output.Write(line[:len(line)-1])
		output.WriteString("!\n")
		if input.Buffered() == 0 && output.Flush() != nil {
			return
		}
	}
}

func discard(connection net.Conn) {
	buffer := make([]byte, 16*space)
	var total uint64
	for {
		count, err := connection.Read(buffer)
		total += uint64(count)
		if err != nil {
			break
		}
	}
	binary.Write(connection, binary.LittleEndian, total)
}

func datagrams() {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("Server is listening at %v\n", socket.LocalAddr())
	buffer := make([]byte, space)
	for {
		count, from, err := socket.ReadFromUDPAddrPort(buffer)
		if err == nil {
			socket.WriteToUDPAddrPort(buffer[:count], from)
		}
	}
}
