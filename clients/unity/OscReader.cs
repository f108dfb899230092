// OSC 1.0 datagrams, read without a copy and without an exception: bytes that make no sense end the reading.
// No sockets and no UnityEngine here. Bundles (nested too) are flattened and their timetags ignored: a pose is for now.
// https://opensoundcontrol.stanford.edu/spec-1_0.html

using System;
using System.Collections.Generic;
using System.Text;

namespace PasDeDeux
{
    /// <summary>One message: its address and its arguments, of which i and f are numbers, s a text, b a blob.</summary>
    /// <remarks>The reader uses the same object again for the next message.</remarks>
    public sealed class OscMessage
    {
        public const int MaxArguments = 64;

        public string Address = "";
        public int Count;
        public readonly char[] Types = new char[MaxArguments];
        public readonly float[] Numbers = new float[MaxArguments];
        public readonly string[] Texts = new string[MaxArguments];
        public readonly byte[][] Blobs = new byte[MaxArguments][];

        /// <summary>Whether arguments first .. first + count - 1 are all there and all numbers.</summary>
        public bool AreNumbers(int first, int count)
        {
            if (first + count > Count) return false;
            for (int n = first; n < first + count; n++)
                if (Types[n] != 'f' && Types[n] != 'i') return false;
            return true;
        }
    }

    /// <summary>Reads datagrams. Not for two threads at once.</summary>
    public sealed class OscReader
    {
        const int MaxNesting = 8;
        const int MaxKnownTexts = 1024; // what a stranger can make us keep
        const int LongestKnownText = 64;

        readonly OscMessage message = new OscMessage();
        readonly Dictionary<int, string> knownTexts = new Dictionary<int, string>();

        /// <summary>Gives every message of a datagram to `take`; false when a part of it could not be read.</summary>
        public bool Read(byte[] data, int length, Action<OscMessage> take)
        {
            if (data == null || length <= 0 || length > data.Length || length % 4 != 0) return false;
            return ReadElement(data, 0, length, 0, take);
        }

        bool ReadElement(byte[] data, int start, int end, int depth, Action<OscMessage> take)
        {
            if (!IsBundle(data, start, end)) return ReadMessage(data, start, end, take);
            if (depth == MaxNesting || end - start < 16) return false;
            int position = start + 16;
            while (position < end)
            {
                if (end - position < 4) return false;
                int size = Integer(data, position);
                position += 4;
                if (size <= 0 || size % 4 != 0 || size > end - position) return false;
                if (!ReadElement(data, position, position + size, depth + 1, take)) return false;
                position += size;
            }
            return true;
        }

        bool ReadMessage(byte[] data, int start, int end, Action<OscMessage> take)
        {
            if (data[start] != '/') return false;
            int position = start;
            message.Address = Text(data, ref position, end);
            if (message.Address == null) return false;
            message.Count = 0;
            if (position < end)
            {
                if (data[position] != ',') return false;
                int tag = position + 1;
                if (!SkipText(data, ref position, end)) return false;
                for (; data[tag] != 0; tag++)
                    if (!ReadArgument(data, (char)data[tag], ref position, end)) return false;
            }
            take(message);
            return true;
        }

        bool ReadArgument(byte[] data, char type, ref int position, int end)
        {
            if (message.Count == OscMessage.MaxArguments) return false;
            int place = message.Count++;
            message.Types[place] = type;
            switch (type)
            {
                case 'i':
                    if (end - position < 4) return false;
                    message.Numbers[place] = Integer(data, position);
                    position += 4;
                    return true;
                case 'f':
                    if (end - position < 4) return false;
                    message.Numbers[place] = Float(data, position);
                    position += 4;
                    return true;
                case 's':
                    message.Texts[place] = Text(data, ref position, end);
                    return message.Texts[place] != null;
                case 'b':
                    if (end - position < 4) return false;
                    int size = Integer(data, position);
                    position += 4;
                    if (size < 0 || size > end - position) return false;
                    message.Blobs[place] = new byte[size];
                    Buffer.BlockCopy(data, position, message.Blobs[place], 0, size);
                    position += (size + 3) & ~3;
                    return position <= end;
                case 'd':
                case 'h':
                case 't':
                    position += 8; // known and not used
                    return position <= end;
                case 'T':
                case 'F':
                case 'N':
                case 'I':
                    return true;
                default:
                    return false;
            }
        }

        /// <summary>The text at `position`, null if it does not end; the same string each time, so that none is made.</summary>
        string Text(byte[] data, ref int position, int end)
        {
            int start = position;
            if (!SkipText(data, ref position, end)) return null;
            int hash = unchecked((int)2166136261);
            int stop = start;
            for (; data[stop] != 0; stop++) hash = unchecked((hash ^ data[stop]) * 16777619);
            string known;
            if (knownTexts.TryGetValue(hash, out known) && IsSame(known, data, start, stop)) return known;
            string text = Encoding.UTF8.GetString(data, start, stop - start);
            if (knownTexts.Count < MaxKnownTexts && text.Length <= LongestKnownText) knownTexts[hash] = text;
            return text;
        }

        /// <summary>Moves behind a text and its padding; false when no NUL ends it before `end`.</summary>
        static bool SkipText(byte[] data, ref int position, int end)
        {
            if (position >= end) return false;
            int stop = Array.IndexOf(data, (byte)0, position, end - position);
            if (stop < 0) return false;
            position += ((stop - position) & ~3) + 4;
            return position <= end;
        }

        static bool IsSame(string text, byte[] data, int start, int stop)
        {
            if (text.Length != stop - start) return false;
            for (int n = 0; n < text.Length; n++)
                if (text[n] != data[start + n]) return false;
            return true;
        }

        static bool IsBundle(byte[] data, int start, int end)
        {
            const string name = "#bundle";
            if (end - start < 8 || data[start + 7] != 0) return false;
            for (int n = 0; n < name.Length; n++)
                if (data[start + n] != name[n]) return false;
            return true;
        }

        static int Integer(byte[] data, int at)
        {
            return data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3];
        }

        readonly byte[] four = new byte[4];

        float Float(byte[] data, int at)
        {
            for (int n = 0; n < 4; n++) four[BitConverter.IsLittleEndian ? 3 - n : n] = data[at + n];
            return BitConverter.ToSingle(four, 0);
        }
    }
}
