// Unity's part for a test: makes an avatar as told on standard input, calls the receiver as Unity does, prints where
// the bones are. One command a line:
//   bone NAME PARENT|- x y z  qx qy qz qw   a transform: its place and rotation in its parent, in the T-pose
//   avatar x y z  qx qy qz qw               where the avatar stands in the scene
//   set FIELD VALUE                         a public field of the receiver
//   animal                                  the avatar is no Humanoid
//   fault                                   print what the receiver says is wrong
//   awake                                   the avatar is whole
//   datagram HEX                            read it, draw a frame; prints the pose if there is a new one
//   garbage COUNT                           read the datagrams so far with bytes changed, and random ones
//   listen                                  open the port, print it, then draw and print until standard input ends

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Reflection;
using System.Text;
using System.Threading;
using PasDeDeux;
using UnityEngine;

static class Player
{
    static readonly PasDeDeuxReceiver receiver = new PasDeDeuxReceiver { name = "avatar" };
    static readonly Animator animator = new Animator { avatar = new Avatar() };
    static readonly List<SkeletonBone> skeleton = new List<SkeletonBone>();
    static readonly Dictionary<string, Transform> transforms = new Dictionary<string, Transform>();
    static readonly List<string> names = new List<string>();
    static readonly List<byte[]> datagrams = new List<byte[]>();
    static readonly VmcPose shown = new VmcPose();

    static void Main()
    {
        receiver.components.Add(animator);
        string line;
        while ((line = Console.ReadLine()) != null)
        {
            string[] words = line.Split(' ');
            if (words[0] == "bone") AddBone(words);
            else if (words[0] == "avatar") Place(receiver.transform, words, 1);
            else if (words[0] == "set") Set(words[1], words[2]);
            else if (words[0] == "animal") animator.avatar.isHuman = false;
            else if (words[0] == "fault") Console.WriteLine("fault " + receiver.fault);
            else if (words[0] == "awake") Awake();
            else if (words[0] == "datagram") Read(Bytes(words[1]));
            else if (words[0] == "garbage") Garbage(int.Parse(words[1]));
            else if (words[0] == "listen") { Listen(); return; }
            else throw new ArgumentException("no command " + words[0]);
        }
    }

    static void AddBone(string[] words)
    {
        Transform parent = words[2] == "-" ? receiver.transform : transforms[words[2]];
        var bone = new Transform { name = words[1], parent = parent };
        Place(bone, words, 3);
        transforms[words[1]] = bone;
        names.Add(words[1]);
        skeleton.Add(new SkeletonBone { name = words[1], position = bone.localPosition, rotation = bone.localRotation });
        HumanBodyBones human;
        if (Enum.TryParse(words[1], out human)) animator.found[human] = bone;
    }

    static void Place(Transform at, string[] words, int first)
    {
        float[] n = Array.ConvertAll(words, word => { float f; float.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out f); return f; });
        at.localPosition = new Vector3(n[first], n[first + 1], n[first + 2]);
        at.localRotation = new Quaternion(n[first + 3], n[first + 4], n[first + 5], n[first + 6]);
    }

    static void Set(string field, string value)
    {
        FieldInfo found = typeof(PasDeDeuxReceiver).GetField(field);
        found.SetValue(receiver, Convert.ChangeType(value, found.FieldType, CultureInfo.InvariantCulture));
    }

    /// <summary>Stands the avatar in some other pose first: only the avatar's description knows the T-pose.</summary>
    static void Awake()
    {
        animator.avatar.humanDescription.skeleton = skeleton.ToArray();
        if (transforms.ContainsKey("LeftUpperArm")) transforms["LeftUpperArm"].localRotation = new Quaternion(0f, 0f, 0.6f, 0.8f);
        Call("Awake");
    }

    static void Read(byte[] datagram)
    {
        datagrams.Add(datagram);
        receiver.Reader.Read(datagram, datagram.Length);
        Draw();
    }

    static void Draw()
    {
        Call("LateUpdate");
        if (!receiver.Reader.TakeNewest(shown)) return;
        var text = new StringBuilder("pose " + shown.Number + " " + Text(receiver.senderTime));
        foreach (string name in names)
        {
            Vector3 place = transforms[name].position;
            text.Append(" " + name + " " + Text(place.x) + " " + Text(place.y) + " " + Text(place.z));
        }
        Console.WriteLine(text);
    }

    static void Garbage(int count)
    {
        var random = new System.Random(1);
        for (int n = 0; n < count; n++)
        {
            byte[] source = datagrams[random.Next(datagrams.Count)];
            byte[] broken = (byte[])source.Clone();
            for (int hit = random.Next(1, 6); hit > 0; hit--) broken[random.Next(broken.Length)] = (byte)random.Next(256);
            if (n % 4 == 0) broken = new byte[random.Next(200)];
            if (n % 8 == 0) random.NextBytes(broken);
            int length = n % 3 == 0 ? random.Next(broken.Length + 1) : broken.Length;
            receiver.Reader.Read(broken, length);
            Call("LateUpdate");
        }
        Console.WriteLine("read " + receiver.Reader.Datagrams + " broken " + receiver.Reader.Broken);
    }

    static void Listen()
    {
        Call("OnEnable");
        Console.WriteLine("port " + receiver.BoundPort);
        var ended = new ManualResetEvent(false);
        new Thread(() => { while (Console.ReadLine() != null) { } ended.Set(); }) { IsBackground = true }.Start();
        while (!ended.WaitOne(1)) Draw();
        Draw();
        Call("OnDisable");
        if (receiver.fault != "") Console.WriteLine("fault " + receiver.fault);
        Console.WriteLine("read " + receiver.Reader.Datagrams + " broken " + receiver.Reader.Broken);
    }

    static void Call(string method)
    {
        MethodInfo found = typeof(PasDeDeuxReceiver).GetMethod(method, BindingFlags.Instance | BindingFlags.NonPublic);
        try { found.Invoke(receiver, null); }
        catch (TargetInvocationException error) { throw error.InnerException; }
    }

    static byte[] Bytes(string hex)
    {
        byte[] bytes = new byte[hex.Length / 2];
        for (int n = 0; n < bytes.Length; n++) bytes[n] = Convert.ToByte(hex.Substring(2 * n, 2), 16);
        return bytes;
    }

    static string Text(float number) { return number.ToString("R", CultureInfo.InvariantCulture); }
}
