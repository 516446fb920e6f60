// A small application for the tests of the dotnet monitor: health checks and metrics over HTTP.
// Usage: shop.exe PORT. GET /break and /heal change its health; /quit ends it.
using System;
using System.Globalization;
using System.Net;
using System.Text;
using System.Threading;

public static class Shop
{
    private static bool broken;
    private static int requests;
    private static int failures;

    public static void Main(string[] arguments)
    {
        var listener = new HttpListener();
        listener.Prefixes.Add("http://127.0.0.1:" + arguments[0] + "/");
        listener.Start();
        Console.WriteLine("listening");
        while (true)
        {
            HttpListenerContext context = listener.GetContext();
            ThreadPool.QueueUserWorkItem(_ => Answer(context));
        }
    }

    private static void Answer(HttpListenerContext context)
    {
        string path = context.Request.Url.AbsolutePath;
        int status = 200;
        string type = "text/plain", body = "ok";
        switch (path)
        {
            case "/health":
                status = broken ? 503 : 200;
                type = "application/json";
                body = Health();
                break;
            case "/health/live":
                body = "Healthy";
                break;
            case "/metrics":
                type = "text/plain; version=0.0.4";
                body = Metrics();
                break;
            case "/break":
                broken = true;
                break;
            case "/heal":
                broken = false;
                break;
            case "/quit":
                Environment.Exit(0);
                break;
            case "/fail":
                status = 500;
                Interlocked.Increment(ref failures);
                break;
            default:
                Interlocked.Increment(ref requests);
                break;
        }
        byte[] content = Encoding.UTF8.GetBytes(body);
        context.Response.StatusCode = status;
        context.Response.ContentType = type;
        context.Response.OutputStream.Write(content, 0, content.Length);
        context.Response.Close();
    }

    private static string Health()
    {
        string state = broken ? "Unhealthy" : "Healthy";
        string said = broken ? "\"no connection; Password=pw-geheim-8\"" : "null";
        return "{\"status\": \"" + state + "\", \"totalDuration\": \"00:00:00.001\", \"entries\": {"
            + "\"database\": {\"status\": \"" + state + "\", \"description\": " + said + ", \"data\": {}},"
            + "\"disk\": {\"status\": \"Healthy\", \"data\": {}}}}";
    }

    private static string Metrics()
    {
        var text = new StringBuilder();
        text.Append("# TYPE http_requests_received_total counter\n");
        text.AppendFormat("http_requests_received_total{{code=\"200\"}} {0}\n", requests);
        text.AppendFormat("http_requests_received_total{{code=\"500\"}} {0}\n", failures);
        text.Append("# TYPE dotnet_total_memory_bytes gauge\n");
        text.AppendFormat(CultureInfo.InvariantCulture, "dotnet_total_memory_bytes {0}\n", GC.GetTotalMemory(false));
        text.Append("# TYPE dotnet_collection_count_total counter\n");
        for (int generation = 0; generation <= GC.MaxGeneration; generation++)
        {
            text.AppendFormat(
                "dotnet_collection_count_total{{generation=\"{0}\"}} {1}\n",
                generation, GC.CollectionCount(generation));
        }
        return text.ToString();
    }
}
