import io.ktor.network.selector.SelectorManager
import io.ktor.network.sockets.Datagram
import io.ktor.network.sockets.InetSocketAddress
import io.ktor.network.sockets.aSocket
import io.ktor.network.sockets.openReadChannel
import io.ktor.network.sockets.openWriteChannel
import io.ktor.utils.io.readLine
import io.ktor.utils.io.writeString
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.io.Buffer
import kotlinx.io.readByteArray
import kotlinx.io.writeString
import kotlin.system.exitProcess

/** The peers, each by its name and what it needs. A server prints its port. */
fun main(arguments: Array<String>) = runBlocking<Unit> {
    val selector = SelectorManager(Dispatchers.IO)
    val number = { index: Int -> arguments[index].toInt() }
    when (arguments[0]) {
        "udp-echo" -> udpEcho(selector)
        "udp-ask" -> udpAsk(selector, number(1), number(2))
        "udp-tell" -> udpTell(selector, arguments[1], number(2))
        "greeter" -> greeter(selector)
        "guest" -> guest(selector, number(1))
        else -> error("no peer is named ${arguments[0]}")
    }
    exitProcess(0)
}

fun say(text: Any) {
    println(text)
    System.out.flush()
}

fun packet(text: String) = Buffer().apply { writeString(text) }

/** Sends each datagram back to its sender. */
suspend fun udpEcho(selector: SelectorManager) {
    val socket = aSocket(selector).udp().bind("127.0.0.1", 0)
    say((socket.localAddress as InetSocketAddress).port)
    while (true) {
        val datagram = socket.receive()
        socket.send(Datagram(datagram.packet, datagram.address))
    }
}

/** Asks a server so many times, with datagrams of growing length, and prints the number of right answers. */
suspend fun udpAsk(selector: SelectorManager, port: Int, count: Int) {
    val socket = aSocket(selector).udp().connect(InetSocketAddress("127.0.0.1", port))
    var right = 0
    for (number in 1..count) {
        val question = "question $number ".repeat(number)
        socket.send(Datagram(packet(question), socket.remoteAddress))
        if (socket.receive().packet.readByteArray().decodeToString() == question) right += 1
    }
    say(right)
}

/** Sends a datagram to a group, which it cannot join. */
suspend fun udpTell(selector: SelectorManager, group: String, port: Int) {
    val socket = aSocket(selector).udp().bind("127.0.0.1", 0)
    socket.send(Datagram(packet("to the group"), InetSocketAddress(group, port)))
    say("told")
}

/** The server of the documentation's page. */
suspend fun greeter(selector: SelectorManager) {
    val server = aSocket(selector).tcp().bind("127.0.0.1", 0)
    say((server.localAddress as InetSocketAddress).port)
    val socket = server.accept()
    val input = socket.openReadChannel()
    val output = socket.openWriteChannel(autoFlush = true)
    output.writeString("Please enter your name\n")
    while (true) {
        val name = input.readLine() ?: break
        output.writeString("Hello, $name!\n")
    }
    output.flushAndClose()
    socket.close()
}

/** The client of that page, which gives its name twice and prints what it hears. */
suspend fun guest(selector: SelectorManager, port: Int) {
    val socket = aSocket(selector).tcp().connect("127.0.0.1", port)
    val input = socket.openReadChannel()
    val output = socket.openWriteChannel(autoFlush = true)
    say(input.readLine() ?: "the end")
    for (name in listOf("Ada", "Grace")) {
        output.writeString("$name\n")
        say(input.readLine() ?: "the end")
    }
    output.flushAndClose()
    say(input.readLine() ?: "the end")
    socket.close()
}
