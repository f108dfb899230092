// OscJack's server and parser as Unity users have them: oscjack.exe PORT. Prints `bone NAME` and `time T`.

using System;
using System.Globalization;
using OscJack;

static class Program
{
    static void Main(string[] arguments)
    {
        var server = new OscServer(int.Parse(arguments[0]));
        server.MessageDispatcher.AddCallback("/VMC/Ext/Bone/Pos", (address, data) => Console.WriteLine("bone " + data.GetElementAsString(0)));
        server.MessageDispatcher.AddCallback("/VMC/Ext/T", (address, data) =>
            Console.WriteLine("time " + data.GetElementAsFloat(0).ToString("R", CultureInfo.InvariantCulture)));
        Console.WriteLine("ready");
        Console.In.ReadToEnd();
        Environment.Exit(0);
    }
}
