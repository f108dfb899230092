// VMC messages to whole poses. No sockets here: messages come in on any thread, poses are taken on another.
// A frame is whole at /VMC/Ext/T, or, for senders without it, when a bone comes again. A bone that a frame lacks holds
// its last value, so a lost datagram freezes a limb for one frame and nothing collapses.
// https://protocol.vmc.info/english: Unity's axes, metres, quaternions x y z w, bones local to their parent bone.

using System;
using System.Collections.Generic;
using UnityEngine;

namespace PasDeDeux
{
    /// <summary>One pose. Places are HumanBodyBones; what was never received has Has[bone] == false.</summary>
    public sealed class VmcPose
    {
        public const int Bones = (int)HumanBodyBones.LastBone;

        public int Number; // counts up; 0 when nothing has come yet
        public float Time; // the sender's seconds
        public Vector3 RootPosition;
        public Quaternion RootRotation = Quaternion.identity;
        public readonly bool[] Has = new bool[Bones];
        public readonly Vector3[] Positions = new Vector3[Bones];
        public readonly Quaternion[] Rotations = new Quaternion[Bones];

        public void CopyTo(VmcPose other)
        {
            other.Number = Number;
            other.Time = Time;
            other.RootPosition = RootPosition;
            other.RootRotation = RootRotation;
            Array.Copy(Has, other.Has, Bones);
            Array.Copy(Positions, other.Positions, Bones);
            Array.Copy(Rotations, other.Rotations, Bones);
        }
    }

    /// <summary>Datagrams of one sender to poses. Read on one thread; TakeNewest may be called on another.</summary>
    public sealed class VmcReader
    {
        const float Far = 1000f; // metres: what lies beyond is no stage

        static readonly Dictionary<string, int> places = BonePlaces();

        readonly OscReader osc = new OscReader();
        readonly object newestLock = new object();
        readonly VmcPose open = new VmcPose();
        readonly VmcPose newest = new VmcPose();
        readonly bool[] received = new bool[VmcPose.Bones]; // in the open frame
        readonly Action<OscMessage> take;
        bool isOpen;

        public VmcReader()
        {
            take = Take; // once: a method group would make a delegate for every datagram
        }

        public int Datagrams { get; private set; }
        public int Broken { get; private set; } // datagrams that were no OSC, and bones that were no numbers

        /// <summary>Takes one datagram, whatever is in it.</summary>
        public void Read(byte[] data, int length)
        {
            Datagrams++;
            if (!osc.Read(data, length, take)) Broken++;
        }

        /// <summary>Copies the newest whole pose if it is another than `pose` holds.</summary>
        public bool TakeNewest(VmcPose pose)
        {
            lock (newestLock)
            {
                if (newest.Number == pose.Number) return false;
                newest.CopyTo(pose);
                return true;
            }
        }

        void Take(OscMessage message)
        {
            if (message.Address == "/VMC/Ext/Bone/Pos") TakeBone(message);
            else if (message.Address == "/VMC/Ext/Root/Pos") TakeRoot(message);
            else if (message.Address == "/VMC/Ext/T") TakeTime(message);
        }

        void TakeBone(OscMessage message)
        {
            int bone;
            if (message.Count < 8 || message.Types[0] != 's') return;
            if (!places.TryGetValue(message.Texts[0], out bone)) return;
            Vector3 position;
            Quaternion rotation;
            if (!ReadPlace(message, out position, out rotation)) return;
            if (received[bone]) Close();
            received[bone] = isOpen = true;
            open.Has[bone] = true;
            open.Positions[bone] = position;
            open.Rotations[bone] = rotation;
        }

        void TakeRoot(OscMessage message)
        {
            Vector3 position;
            Quaternion rotation;
            if (message.Count < 8 || !ReadPlace(message, out position, out rotation)) return;
            open.RootPosition = position;
            open.RootRotation = rotation;
        }

        void TakeTime(OscMessage message)
        {
            if (!message.AreNumbers(0, 1)) return;
            open.Time = message.Numbers[0];
            if (isOpen) Close();
        }

        void Close()
        {
            open.Number++;
            Array.Clear(received, 0, received.Length);
            isOpen = false;
            lock (newestLock) open.CopyTo(newest);
        }

        /// <summary>Arguments 1 to 7 as a position and a unit rotation; false, and counted, when they are none.</summary>
        bool ReadPlace(OscMessage message, out Vector3 position, out Quaternion rotation)
        {
            float[] n = message.Numbers;
            position = new Vector3(n[1], n[2], n[3]);
            rotation = Quaternion.identity;
            float length = (float)Math.Sqrt((double)n[4] * n[4] + (double)n[5] * n[5] + (double)n[6] * n[6] + (double)n[7] * n[7]);
            bool good = message.AreNumbers(1, 7) && length > 1e-3f && length < Far // written so that NaN fails
                && Math.Abs(n[1]) <= Far && Math.Abs(n[2]) <= Far && Math.Abs(n[3]) <= Far;
            if (good) rotation = new Quaternion(n[4] / length, n[5] / length, n[6] / length, n[7] / length);
            else Broken++;
            return good;
        }

        /// <summary>Unity's names and VRM's, which differ in the size of the first letter.</summary>
        static Dictionary<string, int> BonePlaces()
        {
            var found = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase);
            for (int bone = 0; bone < VmcPose.Bones; bone++) found[((HumanBodyBones)bone).ToString()] = bone;
            return found;
        }
    }
}
