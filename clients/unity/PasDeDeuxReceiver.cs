// Put this on a Humanoid avatar and it dances what a Pas de Deux show (or any other VMC sender) sends to its port.
// One component, one port, one dancer: VMC has no actor ids. Only stock Unity API (2019.4 and later), no packages.
// A thread of its own reads the socket; LateUpdate, on the main thread, moves the bones to the newest pose, so a slow
// scene skips frames instead of falling behind.

using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using UnityEngine;

namespace PasDeDeux
{
    [RequireComponent(typeof(Animator))]
    [AddComponentMenu("Pas de Deux/Receiver")]
    public sealed class PasDeDeuxReceiver : MonoBehaviour
    {
        [Tooltip("The port of the preset's vmc output: 39539 in the demo for the partner, 39541 for the dancer.")]
        public int port = 39539;

        [Tooltip("Walk through the scene. Off: dance on the spot.")]
        public bool moveThroughSpace = true;

        [Tooltip("Steps in proportion to the avatar's legs. Off: the dancer's own metres.")]
        public bool scaleToLegs = true;

        [Tooltip("Take over the sender's bone lengths as well. Off for avatars: it reshapes them.")]
        public bool useSenderBoneLengths = false;

        [Header("What arrives (read only)")]
        public int datagrams;
        public int broken;
        public float senderTime;
        public string fault = "";

        public VmcReader Reader { get { return reader; } }
        public int BoundPort { get { return socket == null ? 0 : ((IPEndPoint)socket.LocalEndPoint).Port; } }

        readonly VmcReader reader = new VmcReader();
        readonly VmcPose pose = new VmcPose();
        // Parents before children: setting a parent's rotation turns its children.
        readonly List<HumanBodyBones> order = new List<HumanBodyBones>();
        readonly Transform[] bones = new Transform[VmcPose.Bones];
        readonly Quaternion[] rest = new Quaternion[VmcPose.Bones]; // in the T-pose, seen from this object
        readonly Quaternion[] turns = new Quaternion[VmcPose.Bones]; // of the pose, from the T-pose, seen from this object
        readonly int[] parents = new int[VmcPose.Bones]; // the bone that the sender's rotation is local to
        float legLength;
        Socket socket;
        Thread thread;

        // Unity's enum does not say whose child a bone is. An optional bone's children hang on the bone before it.
        static readonly HumanBodyBones[][] chains =
        {
            Chain("Hips Spine Chest UpperChest Neck Head Jaw"), Chain("Head LeftEye"), Chain("Head RightEye"),
            Chain("UpperChest LeftShoulder LeftUpperArm LeftLowerArm LeftHand"),
            Chain("UpperChest RightShoulder RightUpperArm RightLowerArm RightHand"),
            Chain("Hips LeftUpperLeg LeftLowerLeg LeftFoot LeftToes"),
            Chain("Hips RightUpperLeg RightLowerLeg RightFoot RightToes"),
            Fingers("Left", "Thumb"), Fingers("Left", "Index"), Fingers("Left", "Middle"), Fingers("Left", "Ring"),
            Fingers("Left", "Little"), Fingers("Right", "Thumb"), Fingers("Right", "Index"), Fingers("Right", "Middle"),
            Fingers("Right", "Ring"), Fingers("Right", "Little"),
        };

        void Awake()
        {
            Animator animator = GetComponent<Animator>();
            if (animator.avatar == null || !animator.avatar.isHuman)
            {
                Say("the avatar of " + name + " is no Humanoid: model, Rig, Animation Type, Humanoid");
                return;
            }
            Dictionary<string, Quaternion> tPose = TPose(animator.avatar);
            parents[(int)HumanBodyBones.Hips] = -1;
            order.Add(HumanBodyBones.Hips);
            foreach (HumanBodyBones[] chain in chains)
                for (int n = 1; n < chain.Length; n++)
                {
                    parents[(int)chain[n]] = (int)chain[n - 1];
                    order.Add(chain[n]);
                }
            foreach (HumanBodyBones bone in order)
            {
                Transform found = animator.GetBoneTransform(bone);
                bones[(int)bone] = found;
                if (found != null) rest[(int)bone] = RestRotation(found, tPose);
            }
            legLength = Length(HumanBodyBones.LeftLowerLeg) + Length(HumanBodyBones.LeftFoot);
        }

        void OnEnable()
        {
            if (order.Count == 0) return; // no avatar that could dance; `fault` says why
            Application.runInBackground = true; // else the avatar stands still while another window is in front
            try
            {
                socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
                socket.ReceiveBufferSize = 1 << 20;
                socket.Bind(new IPEndPoint(IPAddress.Any, port));
            }
            catch (SocketException error)
            {
                Say("UDP port " + port + " cannot be had: " + error.Message);
                CloseSocket();
                return;
            }
            fault = "";
            thread = new Thread(Listen) { IsBackground = true, Name = "Pas de Deux " + port };
            thread.Start(socket);
        }

        void OnDisable()
        {
            CloseSocket();
            if (thread != null) thread.Join(1000);
            thread = null;
        }

        void Listen(object listening)
        {
            var source = (Socket)listening;
            byte[] buffer = new byte[65536];
            while (true)
            {
                try
                {
                    int length = source.Receive(buffer);
                    reader.Read(buffer, length);
                }
                catch (ObjectDisposedException) { return; }
                catch (SocketException error)
                {
                    // Windows tells that a peer is gone on the next receive; a closed socket ends the thread.
                    if (error.SocketErrorCode != SocketError.ConnectionReset && error.SocketErrorCode != SocketError.MessageSize) return;
                }
            }
        }

        void LateUpdate()
        {
            datagrams = reader.Datagrams;
            broken = reader.Broken;
            if (!reader.TakeNewest(pose)) return;
            senderTime = pose.Time;
            Apply(pose);
        }

        /// <summary>Moves the bones to a pose.</summary>
        public void Apply(VmcPose newPose)
        {
            Quaternion avatar = transform.rotation;
            foreach (HumanBodyBones bone in order)
            {
                int place = (int)bone;
                Quaternion above = parents[place] < 0 ? newPose.RootRotation : turns[parents[place]];
                turns[place] = newPose.Has[place] ? above * newPose.Rotations[place] : above;
                if (bones[place] == null || !newPose.Has[place]) continue;
                bones[place].rotation = avatar * turns[place] * rest[place];
                if (useSenderBoneLengths && parents[place] >= 0 && bones[parents[place]] != null)
                    bones[place].position = bones[parents[place]].position + avatar * (turns[parents[place]] * newPose.Positions[place]);
            }
            PlaceHips(newPose, avatar);
        }

        void PlaceHips(VmcPose newPose, Quaternion avatar)
        {
            int hips = (int)HumanBodyBones.Hips;
            if (bones[hips] == null || !newPose.Has[hips]) return;
            Vector3 place = newPose.RootPosition + newPose.RootRotation * newPose.Positions[hips];
            if (!moveThroughSpace) place = new Vector3(0f, place.y, 0f);
            float senderLeg = newPose.Positions[(int)HumanBodyBones.LeftLowerLeg].magnitude
                + newPose.Positions[(int)HumanBodyBones.LeftFoot].magnitude;
            bool scales = scaleToLegs && !useSenderBoneLengths && senderLeg > 0.1f && legLength > 0.1f;
            bones[hips].position = transform.position + avatar * (place * (scales ? legLength / senderLeg : 1f));
        }

        float Length(HumanBodyBones bone)
        {
            Transform end = bones[(int)bone], start = bones[parents[(int)bone]];
            return end == null || start == null ? 0f : (end.position - start.position).magnitude;
        }

        /// <summary>A bone's rotation in the T-pose seen from this object; as it stands where the avatar tells none.</summary>
        Quaternion RestRotation(Transform bone, Dictionary<string, Quaternion> tPose)
        {
            Quaternion rotation = Quaternion.identity;
            for (Transform at = bone; at != null && at != transform; at = at.parent)
            {
                Quaternion local;
                rotation = (tPose.TryGetValue(at.name, out local) ? local : at.localRotation) * rotation;
            }
            return rotation;
        }

        /// <summary>The local rotations of the T-pose that the avatar was configured with, by the transform's name.</summary>
        static Dictionary<string, Quaternion> TPose(Avatar avatar)
        {
            var found = new Dictionary<string, Quaternion>();
            SkeletonBone[] skeleton = avatar.humanDescription.skeleton;
            if (skeleton != null)
                foreach (SkeletonBone bone in skeleton) found[bone.name] = bone.rotation;
            return found;
        }

        void CloseSocket()
        {
            if (socket != null) socket.Close();
            socket = null;
        }

        void Say(string what)
        {
            fault = what;
            Debug.LogError("Pas de Deux: " + what, this);
        }

        static HumanBodyBones[] Fingers(string side, string finger)
        {
            string bone = " " + side + finger;
            return Chain(side + "Hand" + bone + "Proximal" + bone + "Intermediate" + bone + "Distal");
        }

        static HumanBodyBones[] Chain(string names)
        {
            return Array.ConvertAll(names.Split(' '), one => (HumanBodyBones)Enum.Parse(typeof(HumanBodyBones), one));
        }
    }
}
